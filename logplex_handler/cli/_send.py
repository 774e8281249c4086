"""The command `send`: sends a message, the lines of standard input, or those of a growing file.

    myapp 2>&1 | logplex-handler send

The lines go through a handler like any record, with the same batches, retries and drop notices.
"""

from __future__ import annotations

import argparse
import logging
import os
import select
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

from logplex_handler.cli._line_reader import GRACE_PERIOD, follow_file, read_descriptor
from logplex_handler.cli._stop_request import StopRequest
from logplex_handler.cli._wording import in_words
from logplex_handler.errors import ConfigurationError
from logplex_handler.handler import LogplexHandler
from logplex_handler.stats import Stats

_STDIN = 0
# Seconds between checks whether the handler must be closed.
_POLL_INTERVAL = 0.25
# The longest time, in seconds, to log the lines already read, unless they wait for room.
_LOGGING_TIME = 1.0


def run(options: argparse.Namespace) -> int:
    """Send all lines; return 0 if all are delivered, 1 if not, 2 if the options are invalid."""
    if options.message and options.follow:
        options.parser.error("a message and --follow do not go together")
    if options.from_start and not options.follow:
        options.parser.error("--from-start needs --follow")
    if not options.message and not options.follow and sys.stdin is None:
        _say("there is no message, and standard input is closed")
        return 2
    # What delivers is imported with the first handler, and a signal must not interrupt that.
    with StopRequest() as stop:
        try:
            handler = _handler(options)
        except ConfigurationError as error:
            given = [name for name, value in vars(options).items() if value is not None]
            _say(": ".join(in_words(error, given)))
            return 2
        closer = threading.Thread(target=_close_in_time, args=(handler, options, stop), daemon=True)
        closer.start()
        try:
            problem = _log_all(handler, options, stop)
            handler.flush()
            handler.close()
        except KeyboardInterrupt:
            _report(handler.stats(), "interrupted", verbose=options.verbose)
            # A second signal means now; an ordinary exit would wait while `logging` shuts down.
            os._exit(1)
    return _report(handler.stats(), problem, verbose=options.verbose)


def _handler(options: argparse.Namespace) -> LogplexHandler:
    has_procid = options.procid or os.environ.get("LOGPLEX_PROCID") or os.environ.get("DYNO")
    handler = LogplexHandler(
        required=True,
        hostname=options.hostname,
        appname=options.appname,
        procid=options.procid if has_procid else "send",
        on_full="drop_oldest" if options.drop else "block",
        shutdown_timeout=options.wait,
        compress=options.compress,
        allow_http=options.allow_http,
    )
    handler.setFormatter(logging.Formatter("%(message)s"))
    # No line shows these attributes, and they are a tenth of the cost of a record.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    return handler


def _log_all(handler: LogplexHandler, options: argparse.Namespace, stop: StopRequest) -> str:
    """Log every line of the input; return why it cannot be read, or an empty text."""
    level = getattr(logging, options.level.upper())
    try:
        for lines in _input(options, stop):
            for line in lines:
                handler.handle(logging.LogRecord("send", level, "", 0, line, None, None, None))
    except OSError as error:
        return f"the input cannot be read: {error.strerror or type(error).__name__}"
    return ""


def _close_in_time(handler: LogplexHandler, options: argparse.Namespace, stop: StopRequest) -> None:
    """Close the handler if lines that wait for room, one after the other, would delay the end.

    That is the case some seconds after a signal, or once the input has ended and a line has waited
    in vain. The remaining lines are counted as lost.
    """
    input_end = select.poll()
    if not options.message and options.follow is None:
        # No events requested: poll() always reports that the other end is closed.
        input_end.register(_STDIN, 0)
    ended_at: float | None = None
    while True:
        time.sleep(_POLL_INTERVAL)
        now = time.monotonic()
        if ended_at is None and input_end.poll(0):
            ended_at = now
        in_vain = ended_at is not None and now > ended_at + options.wait
        # Unless a line waits for room, reading has ended by itself by then.
        overdue = (
            stop.requested_at is not None and now > stop.requested_at + GRACE_PERIOD + _LOGGING_TIME
        )
        if overdue or (in_vain and "buffer_full" in handler.stats().dropped and not options.drop):
            handler.close()
            return


def _input(options: argparse.Namespace, stop: StopRequest) -> Iterator[list[str]]:
    if options.message:
        return iter([" ".join(options.message).splitlines() or [""]])
    if options.follow is not None:
        return follow_file(options.follow, stop, from_start=options.from_start)
    return read_descriptor(_STDIN, stop)


def _report(stats: Stats, problem: str, *, verbose: bool) -> int:
    lost = stats.accepted - stats.delivered
    if lost:
        causes = ", ".join(f"{cause} {number}" for cause, number in stats.dropped.items())
        unsent = f"{', ' if causes else ''}unsent {stats.pending}" if stats.pending else ""
        _say(f"{lost:,} of {stats.accepted:,} lines not delivered ({causes}{unsent})")
        if stats.pending or set(stats.dropped) - {"buffer_full"}:
            _say("`logplex-handler check` says what is wrong with the URL or the connection")
    elif verbose:
        _say(
            f"lines delivered: {stats.delivered:,}; requests: {stats.requests:,}, "
            f"retries: {stats.retries:,}; bytes: {stats.bytes_sent:,}"
        )
    if problem:
        _say(problem)
    return 1 if lost or problem else 0


def _say(text: str) -> None:
    # A closed stderr must not change the exit status.
    with suppress(OSError, ValueError, AttributeError):
        print(f"logplex-handler: {text}", file=sys.stderr, flush=True)
