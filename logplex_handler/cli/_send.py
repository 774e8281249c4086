"""Sends a message, the lines of standard input or those of a file that grows.

    myapp 2>&1 | logplex-handler send

The lines take the way of every record: the same batches, retries and drop reports.
"""

from __future__ import annotations

import logging
import os
import select
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from logplex_handler.cli._input import GRACE, Stop, of_descriptor, of_growing_file
from logplex_handler.errors import ConfigurationError
from logplex_handler.handler import LogplexHandler
from logplex_handler.stats import Stats

_STDIN = 0
# Seconds between looks at whether it is time to end.
_LOOK = 0.25
# Seconds in which lines that were read are handed over, unless they wait for room.
_MARGIN = 1.0


@dataclass(frozen=True)
class SendOptions:
    """What the command line says.

    Attributes:
        message: The one message; None for the lines of standard input or of a file.
        follow: The file whose new lines are sent.
        from_start: Whether the lines that it has already are sent as well.
        level: The level of every line.
        hostname, appname, procid: The packet's fields; None for the environment's.
        drop: Whether a full buffer drops the oldest lines instead of making the input wait.
        wait: Seconds that a line waits for room, and that the end waits for delivery.
        compress: Whether bodies are gzipped.
        verbose: Whether the books are shown when all is well, too.
    """

    message: str | None
    follow: Path | None
    from_start: bool
    level: int
    hostname: str | None
    appname: str | None
    procid: str | None
    drop: bool
    wait: float
    compress: bool
    verbose: bool


def send(options: SendOptions) -> int:
    """Send all of it: 0 if everything was delivered, 1 if not, 2 if the options cannot be used."""
    if options.message is None and options.follow is None and sys.stdin is None:
        _say("there is no message, and standard input is closed")
        return 2
    try:
        handler = LogplexHandler(
            required=True,
            hostname=options.hostname,
            appname=options.appname,
            procid=options.procid,
            on_full="drop_oldest" if options.drop else "block",
            shutdown_timeout=options.wait,
            compress=options.compress,
        )
    except ConfigurationError as error:
        _say(str(error))
        return 2
    handler.setFormatter(logging.Formatter("%(message)s"))
    # Nobody asks a line for these, and they are a tenth of what it costs.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    with Stop() as stop:
        watch = threading.Thread(target=_end_in_time, args=(handler, options, stop), daemon=True)
        watch.start()
        try:
            problem = _send_all(handler, options, stop)
            handler.flush()
            handler.close()
        except KeyboardInterrupt:
            _account(handler.stats(), "interrupted", verbose=options.verbose)
            # Whoever asks twice does not want to wait, as `logging` would at an ordinary exit.
            os._exit(1)
    return _account(handler.stats(), problem, verbose=options.verbose)


def _send_all(handler: LogplexHandler, options: SendOptions, stop: Stop) -> str:
    """Hand every line to the handler; what could not be read, in words, or nothing."""
    try:
        for lines in _input(options, stop):
            for line in lines:
                handler.handle(
                    logging.LogRecord("send", options.level, "", 0, line, None, None, None)
                )
    except OSError as error:
        return f"the input cannot be read: {error.strerror or type(error).__name__}"
    return ""


def _end_in_time(handler: LogplexHandler, options: SendOptions, stop: Stop) -> None:
    """Close the handler where lines that wait for room would put the end off, each for its time.

    That is some seconds after a signal; or when whoever wrote the input is gone, and a line that
    was read has waited in vain. Those that are left are counted as lost.
    """
    input_ends = select.poll()
    if options.message is None and options.follow is None:
        # Only what is always told: that nobody writes any more.
        input_ends.register(_STDIN, 0)
    ended_at: float | None = None
    while True:
        time.sleep(_LOOK)
        now = time.monotonic()
        if ended_at is None and input_ends.poll(0):
            ended_at = now
        in_vain = ended_at is not None and now > ended_at + options.wait
        # Where nothing waits, the input ends by itself at the end of that time.
        asked = stop.asked_at is not None and now > stop.asked_at + GRACE + _MARGIN
        if asked or (in_vain and "buffer_full" in handler.stats().dropped and not options.drop):
            handler.close()
            return


def _input(options: SendOptions, stop: Stop) -> Iterator[list[str]]:
    if options.message is not None:
        return iter([options.message.splitlines() or [""]])
    if options.follow is not None:
        return of_growing_file(options.follow, stop, from_start=options.from_start)
    return of_descriptor(_STDIN, stop)


def _account(stats: Stats, problem: str, *, verbose: bool) -> int:
    lost = stats.accepted - stats.delivered
    if lost:
        causes = ", ".join(f"{cause} {number}" for cause, number in stats.dropped.items())
        waiting = f"{', ' if causes else ''}unsent {stats.pending}" if stats.pending else ""
        _say(f"{lost:,} of {stats.accepted:,} lines not delivered ({causes}{waiting})")
    elif verbose:
        _say(
            f"lines delivered: {stats.delivered:,}; requests: {stats.requests:,}, "
            f"retries: {stats.retries:,}; bytes: {stats.bytes_sent:,}"
        )
    if problem:
        _say(problem)
    return 1 if lost or problem else 0


def _say(text: str) -> None:
    # Whoever read it may be gone, and that is no reason to end otherwise.
    with suppress(OSError, ValueError, AttributeError):
        print(f"logplex-handler: {text}", file=sys.stderr, flush=True)
