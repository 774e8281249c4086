"""Prints each line as a JSON object, for programs such as `jq`."""

from __future__ import annotations

import time
from collections.abc import Iterator

from logplex_handler.receiver import _items as items
from logplex_handler.receiver.feed import ReceivedRequest
from logplex_handler.receiver.terminal import Terminal


class JsonLines(Terminal):
    """A viewer that prints lines as `/api/lines?format=ndjson` has them.

    What is wrong with a request is explained on stderr, and what is wrong with a line is in it.
    """

    def _shown(self, received: ReceivedRequest) -> Iterator[str]:
        request, lines = received.request, received.lines
        for text in self._about_request(received):
            self._explanations.move_up(text)
            self._errors.write(f"{text}\n")
        arrived = time.time() if request is None else request.time
        # Lines and requests are numbered together, and a request follows its lines.
        end = self.lines + self.requests
        last = end if request is None else end - 1
        for number, line in enumerate(lines, last - len(lines)):
            if self._is_wanted(line):
                if self.first_shown is None:
                    self.first_shown = line.stream
                yield items.as_json(number, line, None if request is None else last, arrived)
