"""Runs a local Logplex, and shows what it is sent until it is told to stop."""

from __future__ import annotations

import os
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from logplex_handler.cli._input import Stop
from logplex_handler.receiver._feed import Feed, Viewer
from logplex_handler.receiver._record import Recorder
from logplex_handler.receiver._terminal import Filter, Terminal
from logplex_handler.receiver.style import Style
from logplex_handler.testing import LogplexReceiver, Misbehaviour
from logplex_handler.testing._receiver import listens_everywhere

# Seconds between looks at whether anybody still reads the output.
_LOOK = 0.5


@dataclass(frozen=True)
class ReceiveOptions:
    """What the command line says.

    Attributes:
        host, port: Where to listen; port 0 takes a free one.
        tokens: Those that are let in; none for any.
        misbehaviour: What goes wrong on purpose.
        rotate: Seconds after which all tokens are retired, again and again; None for never.
        chosen: Which lines are printed.
        quiet: Whether none is, but only what is wrong.
        record: The file to which requests are appended.
        url_file: The file that always holds the URL.
        web: The port of the page, 0 for a free one; None for no page.
        keep: Lines that the page keeps.
    """

    host: str
    port: int
    tokens: tuple[str, ...]
    misbehaviour: Misbehaviour
    rotate: float | None
    chosen: Filter
    quiet: bool
    record: Path | None
    url_file: Path | None
    web: int | None
    keep: int


def receive(options: ReceiveOptions) -> int:
    """Listen until SIGINT, SIGTERM or the end of whoever reads: 0, or 2 if it cannot begin."""
    terminal = Terminal(Style(sys.stdout), options.chosen, quiet=options.quiet)
    try:
        with ExitStack() as opened:
            _run(options, terminal, opened)
    except OSError as error:
        _say(f"{error.strerror or error}")
        return 2
    except ImportError as error:
        _say(f"the page needs {error.name}: pip install 'logplex-handler[cli]'")
        return 2
    _say(
        f"{terminal.lines:,} lines in {terminal.requests:,} requests, "
        f"{terminal.violations:,} violations"
    )
    return 0


def _run(options: ReceiveOptions, terminal: Terminal, opened: ExitStack) -> None:
    viewers: list[Viewer] = []
    if options.record is not None:
        # The first: what is shown is in the file already.
        recorder = Recorder(options.record)
        opened.callback(recorder.close)
        viewers.append(recorder)
    viewers.append(terminal)
    if options.web is not None:
        from logplex_handler.receiver._page import Page
        from logplex_handler.receiver._store import Store

        store = Store(options.keep)
        page = opened.enter_context(Page(store, options.web))
        viewers.append(store.add)
        _say(f"the page: {page.url}")
    receiver = opened.enter_context(
        LogplexReceiver(
            tokens=options.tokens or None,
            any_token=not options.tokens,
            host=options.host,
            port=options.port,
            misbehaviour=options.misbehaviour,
            on_arrival=Feed(viewers),
        )
    )
    # Before anybody knows the URL, so that a signal finds it prepared.
    with Stop() as stop:
        _tell_url(receiver.url, options.url_file)
        if listens_everywhere(options.host):
            _say("from other machines: with this one's name in it, and allow_http=True")
        rotated_at = time.monotonic()
        while stop.asked_at is None and not terminal.is_gone.is_set():
            stop.wait(_LOOK)
            if options.rotate is not None and time.monotonic() - rotated_at >= options.rotate:
                rotated_at = time.monotonic()
                _say("the credentials were rotated")
                _tell_url(receiver.rotate(), options.url_file)


def _tell_url(url: str, file: Path | None) -> None:
    """Print the URL ready to copy: the token is made up here, or was given on the command line."""
    _say(f"ready to copy:\n  export LOGPLEX_URL='{url}'")
    if file is not None:
        # In one step, so that nobody reads half of it.
        new = file.with_name(f"{file.name}.new")
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as written:
            written.write(f"{url}\n")
        new.replace(file)


def _say(text: str) -> None:
    try:
        print(text, file=sys.stderr, flush=True)
    except (OSError, ValueError):
        return
