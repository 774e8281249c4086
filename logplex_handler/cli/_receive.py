"""The command `receive`: runs a local Logplex and shows what it gets, until a signal comes."""

from __future__ import annotations

import argparse
import errno
import gc
import logging
import os
import select
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from logplex_handler._wire.packet import severity
from logplex_handler.cli._stop_request import StopRequest
from logplex_handler.receiver.brief import Brief
from logplex_handler.receiver.feed import Feed, Viewer
from logplex_handler.receiver.json_lines import JsonLines
from logplex_handler.receiver.printer import PatientPrinter, Printer
from logplex_handler.receiver.recording import Recorder
from logplex_handler.receiver.style import Style, harmless
from logplex_handler.receiver.terminal import Filter, Terminal
from logplex_handler.testing import LogplexReceiver, Misbehaviour
from logplex_handler.testing.listener import is_wildcard

# Seconds between checks whether the output is still read, whether parts of a line wait in vain, and
# whether tokens are due for rotation.
_POLL_INTERVAL = 0.5
# Seconds that the end waits for an output that is not read.
_LONGEST_WRITE = 5.0
# The new objects after which the garbage collector looks at them.
_NEW_OBJECTS = 500_000


def run(options: argparse.Namespace) -> int:
    """Listen until a signal comes or stdout is closed; return 0, or 2 if it cannot start.

    If stdout or stderr is open, but nobody reads it, the process ends with 1.
    """
    try:
        misbehaviour = Misbehaviour(tuple(options.fail), options.hang, options.delay)
    except ValueError as error:
        options.parser.error(f"--fail, --hang: {error}")
    if not all(token.isascii() and token.isprintable() and token for token in options.token):
        options.parser.error("--token: must be printable ASCII")
    shown = Filter(
        streams=tuple(options.stream if options.customer is None else [options.customer]),
        processes=tuple(options.process),
        severity=severity(getattr(logging, options.level.upper())),
        query=options.grep,
    )
    # Lines are kept and hold no cycles. To look for some after every 2,000 lines (Python 3.13; 700
    # before) took a tenth of the time.
    gc.set_threshold(_NEW_OBJECTS, 20, 20)
    exact = options.customer is not None
    forms = [name for name in ("json", "brief", "customer") if getattr(options, name)]
    if len(forms) > 1:
        options.parser.error(f"--{forms[0]}: not together with --{forms[1]}")
    kind = JsonLines if options.json else Brief if options.brief else Terminal
    printer = PatientPrinter(lambda: sys.stdout, _say)
    errors = PatientPrinter(lambda: sys.stderr, _say)
    style = Style(sys.stdout)
    terminal = kind(style, shown, quiet=options.quiet, exact=exact, printer=printer, errors=errors)
    try:
        with _all_printed(printer), _all_printed(errors), ExitStack() as resources:
            _receive(options, misbehaviour, terminal, printer, resources)
    except OSError as error:
        file = f"{error.filename}: " if error.filename else ""
        _say(f"logplex-handler: {file}{error.strerror or error}")
        return 2
    except ImportError as error:
        _say(f"the page needs {error.name}: pip install 'logplex-handler[cli]'")
        return 2
    _say(
        f"{_counted(terminal.lines, 'line')} in {_counted(terminal.requests, 'request')}, "
        f"{_counted(terminal.violations, 'violation')}"
        + (f", {terminal.hidden:,} of them in what was not shown" if terminal.hidden else "")
    )
    if terminal.lines and terminal.first_shown is None and not options.quiet:
        streams = ", ".join(sorted(map(harmless, terminal.streams)))
        _say(f"no line passed the filter; there were lines of {streams}")
    return 0


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _free_port(taken: int) -> int:
    """Return the next port that is free now, or 0."""
    for port in range(taken + 1, min(taken + 20, 65_536)):
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    return 0


@contextmanager
def _port_named(option: str, port: int) -> Iterator[None]:
    """Name the port in the error if it is taken."""
    try:
        yield
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        message = (
            f"{option} {port}: Address already in use, perhaps by another `receive`. "
            f"`{option} {_free_port(port)}` is free (0 takes any free one)"
        )
        raise OSError(error.errno, message) from None


def _receive(
    options: argparse.Namespace,
    misbehaviour: Misbehaviour,
    terminal: Terminal,
    printer: Printer,
    resources: ExitStack,
) -> None:
    viewers: list[Viewer] = []
    if options.record is not None:
        # The recorder comes first, so that every line shown is already in the file.
        recorder = Recorder(options.record)
        resources.callback(recorder.close)
        viewers.append(recorder)
    viewers.append(terminal)
    page = None
    if options.web is not None:
        from logplex_handler.receiver.page import Page
        from logplex_handler.receiver.store import Store

        store = Store(options.keep)
        with _port_named("--web", options.web):
            page = Page(store, options.web)
        resources.enter_context(page)
        viewers.append(store.add)
        _say(f"the page: {page.url}")
    feed = Feed(viewers, join=not options.parts)
    resources.callback(feed.give_up_parts, after=0.0)
    receiver = LogplexReceiver(
        tokens=options.token or None,
        any_token=not options.token,
        host=options.host,
        port=options.port,
        misbehaviour=misbehaviour,
        on_arrival=feed,
    )
    with _port_named("--port", options.port):
        resources.enter_context(receiver)
    if page is not None:
        page.receiver_url = receiver.url
    # Signals are handled before the URL is published, since a script may send one right after.
    with StopRequest() as stop:
        _publish_url(receiver.url, options.url_file)
        if is_wildcard(options.host):
            _say("from other machines: with this one's name in it, and allow_http=True")
            _say("(`send`, `check` and `replay` have --allow-http)")
        rotated_at = time.monotonic()
        while stop.requested_at is None and not printer.reader_is_gone.is_set():
            stop.wait(_POLL_INTERVAL)
            feed.give_up_parts()
            if _is_closed(sys.stdout.fileno()):
                break
            if options.rotate is not None and time.monotonic() - rotated_at >= options.rotate:
                rotated_at = time.monotonic()
                _say("the credentials were rotated")
                _publish_url(receiver.rotate(), options.url_file)


@contextmanager
def _all_printed(printer: PatientPrinter) -> Iterator[None]:
    """Wait at the end until all is printed, or end the process if nobody reads it."""
    try:
        yield
        if printer.finish(_LONGEST_WRITE):
            return
    except KeyboardInterrupt:
        if printer.finish(0.0):
            raise
    # The thread that writes would never end, and stderr may be the same terminal.
    os._exit(1)


def _is_closed(descriptor: int) -> bool:
    """Return whether a pipe has no reader any more, which otherwise only the next line shows."""
    if not hasattr(select, "poll"):
        # Windows has none.
        return False
    poll = select.poll()
    poll.register(descriptor, 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))


def _publish_url(url: str, file: Path | None) -> None:
    """Print the URL and write it to `file`. Its token is random, or from the command line."""
    _say(f"ready to copy:\n  export LOGPLEX_URL='{url}'")
    if file is None:
        return
    # Renaming is atomic, so that a script never reads half of the URL. But a device, such as
    # /dev/stdout, a pipe with a name and what a link leads to are written to, not replaced.
    is_kept = file.is_symlink() or (file.exists() and not file.is_file())
    written = file if is_kept else file.with_name(f"{file.name}.new")
    descriptor = os.open(written, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
        opened.write(f"{url}\n")
    if not is_kept:
        written.replace(file)


def _say(text: str) -> None:
    try:
        print(text, file=sys.stderr, flush=True)
    except (OSError, ValueError):
        return
