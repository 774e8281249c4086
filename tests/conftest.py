"""Shared by all tests. A test that prints a token fails; see test_printed_tokens.py."""

from __future__ import annotations

import base64
import contextvars
import gc
import importlib
import logging
import sys
import threading
import weakref
from collections.abc import Generator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, find, settings
from hypothesis import strategies as st

from logplex_handler._process.diagnostics import Diagnostics
from logplex_handler._sender import retry_policy
from logplex_handler.handler._handler import all_handlers
from logplex_handler.streams import current
from logplex_handler.testing._behaviour import Tokens
from tests.patience import be_patient

# A failed assertion of a shared module shows its values, as one of a test does.
pytest.register_assert_rewrite(
    *(
        f"tests.{path.stem}"
        for path in Path(__file__).parent.iterdir()
        # Imported above, and without assertions.
        if path.stem not in ("conftest", "patience")
    )
)

# A machine may be slow, and no test is the worse for it. Nothing is left behind in the checkout.
settings.register_profile(
    "any machine",
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("any machine")

be_patient()

# Every token of every receiver, as it could be printed.
_secrets: set[str] = set()


def _remember(tokens: Tokens, name: str, value: Any) -> None:
    """Whatever is set as the tokens of a receiver is a secret from then on."""
    object.__setattr__(tokens, name, value)
    for token in value if name == "current" else ():
        basic = base64.b64encode(f"token:{token}".encode()).decode()
        # One as short as `t.one` could be in any text.
        _secrets.update({token, quote(token, safe=""), basic} if len(token) >= 8 else {basic})


Tokens.__setattr__ = _remember  # type: ignore[method-assign, assignment]


def _found_in(text: str) -> list[str]:
    return [secret for secret in _secrets if secret in text] if text else []


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.longrepr is None and not report.sections:
        return report
    shown = {"the failure's text": report.longreprtext, **dict(report.sections)}
    if places := [place for place, text in shown.items() if _found_in(text)]:
        report.outcome = "failed"
        report.longrepr = f"A token was printed: {', '.join(places)} (not shown for that reason)"
        report.sections = [section for section in report.sections if not _found_in(section[1])]
    # One process of pytest tells another what was printed, and cannot do so of lone surrogates.
    report.sections = [
        (name, text.encode("utf-8", "backslashreplace").decode()) for name, text in report.sections
    ]
    return report


def _readouterr(capture: pytest.CaptureFixture[Any]) -> Any:
    """Output that a test reads from the capture is in no report, so it is searched here."""
    result = _original(capture)
    if any(_found_in(str(text)) for text in result):
        pytest.fail("A token was printed: in what readouterr() returned", pytrace=False)
    return result


_original = pytest.CaptureFixture.readouterr
pytest.CaptureFixture.readouterr = _readouterr  # type: ignore[assignment, method-assign]


# The folders and files whose tests take longest, most of which start programs or wait for them.
_LONGEST = (
    "spool",
    "runtimes",
    "chaos",
    "test_random_faults.py",
    "test_benchmarks.py",
    "cli",
    "docs",
    "process",
    "relay",
    "test_call_sites.py",
    "test_examples.py",
    "test_pytest_plugin.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files come first: where several run at a time, none is left at the end."""
    places = {name: place for place, name in enumerate(_LONGEST)}

    def place(item: pytest.Item) -> int:
        names = (item.path.parent.name, item.path.name)
        return min(places.get(name, len(places)) for name in names)

    items.sort(key=place)


@pytest.hookimpl(wrapper=True)
def pytest_sessionstart(session: pytest.Session) -> Generator[None, None, None]:
    """While several processes collect the tests, the one that waits for them has Hypothesis write
    its tables of characters and constants: in a new checkout each of them would compute them."""
    yield
    if getattr(session.config.option, "numprocesses", None):
        find(st.text(), lambda text: True)


def pytest_collection(session: pytest.Session) -> None:
    """Each of several processes begins with other files: all import all of them, and the one that
    comes first to a file without bytecode rewrites its assertions for the others."""
    worker = getattr(session.config, "workerinput", None)
    if worker is None:
        return
    folders = [session.config.rootpath / argument for argument in session.config.args]
    files = sorted(file for folder in folders for file in folder.rglob("test_*.py"))
    number = int(worker["workerid"].removeprefix("gw"))
    first = len(files) * number // worker["workercount"]
    for file in files[first:] + files[:first]:
        names = file.relative_to(session.config.rootpath).with_suffix("").parts
        # What cannot be imported here is reported when it is collected.
        if "browser" not in names:
            with suppress(Exception, pytest.skip.Exception):
                importlib.import_module(".".join(names))


def pytest_collection_finish() -> None:
    """Collections of garbage pass over the many objects that now stay to the end."""
    gc.freeze()


# Hooks, which cost each of the thousands of tests less than fixtures that all of them have.


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown() -> Generator[None, None, None]:
    """A test whose configuration disables loggers would take them from those that come later."""
    yield
    disabled = []
    for logger in logging.root.manager.loggerDict.values():
        if isinstance(logger, logging.Logger) and logger.disabled:
            logger.disabled = False
            disabled.append(logger.name)
    if disabled:
        pytest.fail(f"Loggers are disabled: {disabled[:3]}", pytrace=False)


# How many tests have begun.
_begun = [0]


def _init(reports: Diagnostics) -> None:
    _original_init(reports)
    reports.test_number = _begun[0]  # type: ignore[attr-defined]


def _warn(reports: Diagnostics, kind: str, message: str) -> bool:
    """What another test has left may fail at any time, as its server is gone: it is not heard."""
    is_own = reports.test_number in (0, _begun[0])  # type: ignore[attr-defined]
    return not is_own or _original_warn(reports, kind, message)


_original_init, _original_warn = Diagnostics.__init__, Diagnostics.warn
Diagnostics.__init__ = _init  # type: ignore[method-assign, assignment]
Diagnostics.warn = _warn  # type: ignore[method-assign, assignment]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol() -> Generator[None, object, object]:
    """`flush_all` and a shutdown concern a test's own handlers; another's receiver may be gone."""
    _begun[0] += 1
    others = all_handlers._objects
    all_handlers._objects = weakref.WeakValueDictionary()
    result = yield
    others.update(all_handlers._objects)
    all_handlers._objects = others
    return result


@pytest.fixture
def threads_inherit(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread starts in a copy of its starter's context, as on a free-threaded Python 3.14."""
    start = threading.Thread.start

    def inheriting(thread: Any) -> None:
        if getattr(thread, "_context", None) is None:
            thread._context = contextvars.copy_context()
            if sys.version_info < (3, 14):
                thread.run = partial(thread._context.run, thread.run)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", inheriting)
    monkeypatch.setattr(current, "_THREADS_INHERIT", True)


@pytest.fixture
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits between tries are a twentieth as long."""
    monkeypatch.setattr(retry_policy, "FIRST_WAIT", retry_policy.FIRST_WAIT / 20)
