"""The pytest plugin with the fixture `logplex`; pytest loads it wherever the package is installed.

    def test_an_order_is_logged(logplex):
        ship(order_id=42)
        assert logplex.wait_for(order_id=42).text.startswith("level=info")

A test that sends anything malformed fails. A failing test shows the lines that came.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from logplex_handler.testing import LogplexCapture

__all__ = ["logplex"]

_capture_key: pytest.StashKey[LogplexCapture] = pytest.StashKey()
# The violations that the test's report already contains.
_reported_key = pytest.StashKey[str]()
# Seconds that a failed test waits for its last lines.
_SETTLE_AFTER_FAILURE = 0.5

_MARKER = (
    "logplex(logger='', level='INFO', strict=True, formatter=None, **options): how the fixture "
    "`logplex` is set up: the loggers that get a handler (a name, several, or None for no handler),"
    " their level, whether anything malformed fails the test, and options of LogplexHandler"
)


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker."""
    config.addinivalue_line("markers", _MARKER)


@pytest.fixture
def logplex(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Generator[LogplexCapture, None, None]:
    """A local Logplex, with a handler on the root logger that sends to it.

    The mark `logplex` changes the setup. During the test, `LOGPLEX_URL` is the receiver's URL, for
    handlers that the program creates itself and for subprocesses.
    """
    # pytest loads this module in every session, even where no test uses the fixture.
    from logplex_handler.testing import LogplexCapture

    options: dict[str, Any] = {}
    # iter_markers() yields the closest mark first; it must override the others.
    for mark in reversed(list(request.node.iter_markers("logplex"))):
        if mark.args:
            raise pytest.UsageError("the mark logplex takes keyword arguments only")
        options |= mark.kwargs
    logger = options.pop("logger", "")
    loggers = [] if logger is None else [logger] if isinstance(logger, str) else logger
    with LogplexCapture(loggers, **options) as capture:
        monkeypatch.setenv("LOGPLEX_URL", capture.url)
        monkeypatch.delenv("LOGPLEX_TOKEN", raising=False)
        request.node.stash[_capture_key] = capture
        try:
            yield capture
        finally:
            del request.node.stash[_capture_key]
        # Other fixtures may have sent lines after the test.
        capture.settle()
        faults = capture.faults()
        if faults and faults != request.node.stash.get(_reported_key, ""):
            pytest.fail(faults, pytrace=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, object, object]:
    """Show the lines that were sent if another fixture fails."""
    try:
        return (yield)
    except BaseException:
        _add_sections(item, "setup")
        raise


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Fail a test that sent anything malformed; after another failure, show the lines sent."""
    try:
        result = yield
    except BaseException:
        # BaseException, because `pytest.fail` and `sys.exit` do not raise an Exception.
        _add_sections(item, "call")
        raise
    capture = item.stash.get(_capture_key, None)
    if capture is not None:
        capture.settle()
        if faults := capture.faults():
            item.stash[_reported_key] = faults
            item.add_report_section("call", "logplex", capture.seen())
            pytest.fail(faults, pytrace=False)
    return result


def _add_sections(item: pytest.Item, phase: str) -> None:
    capture = item.stash.get(_capture_key, None)
    if capture is None:
        return
    capture.settle(_SETTLE_AFTER_FAILURE)
    item.add_report_section(phase, "logplex", capture.seen())
    item.stash[_reported_key] = capture.faults()
    if item.stash[_reported_key]:
        item.add_report_section(phase, "logplex", item.stash[_reported_key])
