"""A running `logplex-handler receive`."""

from __future__ import annotations

import signal
from contextlib import contextmanager

import requests

from tests.commands import started
from tests.logs import wait_until

TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00"


class Receiving:
    """A running `receive`: its URL and its output so far."""

    def __init__(self, process, url, shown):
        self.process = process
        self.url = url
        self._shown = shown

    @property
    def shown(self):
        return self._shown.read_text()

    def shows(self, words):
        """Whether it prints these words."""
        return wait_until(lambda: words in self.shown)

    def post(self, data, count=1, **headers):
        given = {"Content-Type": "application/logplex-1", "Logplex-Msg-Count": str(count)}
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return requests.post(
            self.url, data=data, headers={**given, "Logplex-Frame-Id": "a", **named}, timeout=100
        )

    def end(self):
        """Stop it; its output and its errors."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(100) == 0
        return self.shown, self.process.stderr.read().decode()


@contextmanager
def receiving(tmp_path, *arguments):
    url_file, shown = tmp_path / "url", tmp_path / "shown"
    with (
        shown.open("wb") as file,
        started(
            *("receive", "--port", "0", "--url-file", str(url_file), *arguments), stdout=file
        ) as process,
    ):
        assert wait_until(url_file.exists), process.poll()
        yield Receiving(process, url_file.read_text().strip(), shown)
