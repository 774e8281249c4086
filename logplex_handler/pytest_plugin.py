"""The pytest plugin: the fixture `logplex`, loaded with the package.

    def test_an_order_is_logged(logplex):
        ship(order_id=42)
        assert logplex.wait_for(order_id=42).text.startswith("level=info")

A test that sends anything malformed fails, and one that fails shows the lines that came.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

from logplex_handler.testing import LogplexCapture

__all__ = ["logplex"]

_captures = pytest.StashKey[LogplexCapture]()
# Seconds that a test which has failed waits for its last lines.
_MOMENT = 0.5
# What was malformed and is in the report already.
_told = pytest.StashKey[str]()

_MARKER = (
    "logplex(logger='', level='INFO', strict=True, formatter=None, **options): how the fixture "
    "`logplex` is set up: the loggers that get a handler (a name, several, or None for no handler),"
    " their level, whether anything malformed fails the test, and options of LogplexHandler"
)


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line("markers", _MARKER)


@pytest.fixture
def logplex(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Generator[LogplexCapture, None, None]:
    """A local Logplex, and a handler to it on the root logger.

    The mark `logplex` sets it up otherwise. `LOGPLEX_URL` is its URL meanwhile, for handlers that
    the program makes itself and for its subprocesses.
    """
    options: dict[str, Any] = {}
    # The nearest mark is the first, and its word the last.
    for mark in reversed(list(request.node.iter_markers("logplex"))):
        if mark.args:
            raise pytest.UsageError("the mark logplex takes keyword arguments only")
        options |= mark.kwargs
    logger = options.pop("logger", "")
    loggers = [] if logger is None else [logger] if isinstance(logger, str) else logger
    with LogplexCapture(loggers, **options) as capture:
        monkeypatch.setenv("LOGPLEX_URL", capture.url)
        monkeypatch.delenv("LOGPLEX_TOKEN", raising=False)
        request.node.stash[_captures] = capture
        try:
            yield capture
        finally:
            del request.node.stash[_captures]
        # What fixtures have sent after the test.
        capture.settle()
        faults = capture.faults()
        if faults and faults != request.node.stash.get(_told, ""):
            pytest.fail(faults, pytrace=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, object, object]:
    """Show what was sent if another fixture fails."""
    try:
        return (yield)
    except BaseException:
        _show(item, "setup")
        raise


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Fail a test that has sent anything malformed; show what was sent if it fails otherwise."""
    try:
        result = yield
    except BaseException:
        # `pytest.fail` and `sys.exit` are no Exceptions.
        _show(item, "call")
        raise
    capture = item.stash.get(_captures, None)
    if capture is not None:
        capture.settle()
        if faults := capture.faults():
            item.stash[_told] = faults
            item.add_report_section("call", "logplex", capture.seen())
            pytest.fail(faults, pytrace=False)
    return result


def _show(item: pytest.Item, when: str) -> None:
    capture = item.stash.get(_captures, None)
    if capture is None:
        return
    capture.settle(_MOMENT)
    item.add_report_section(when, "logplex", capture.seen())
    item.stash[_told] = capture.faults()
    if item.stash[_told]:
        item.add_report_section(when, "logplex", item.stash[_told])
