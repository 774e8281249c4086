"""An invalid option raises an error that names the option and shows no secret."""

from __future__ import annotations

import inspect
import logging
import os
import subprocess
import sys
import traceback
from functools import partial
from typing import Any

import pytest

from logplex_handler import ConfigurationError, LogplexHandler
from tests.configuration.shared import DRAIN_TOKEN, HUGE, PACKAGE, TOKEN, URL, USER, told


async def coroutine(*arguments):
    """Nobody awaits what it returns."""


class Coroutine:
    __call__ = coroutine


BAD: dict[str, list[Any]] = {
    "url": [5, b"https://token:t0ken@logplex.example", ["x"], "x", "https://logplex.example"],
    "level": ["LOUD", "info", None, 1.5, []],
    "hostname": ["---", "\N{GREEK SMALL LETTER OMEGA}", 5, b"x", ["x"]],
    "appname": ["...", "_", 5, b"x"],
    "procid": ["-", " ", 5, b"x", "router", "Router", "logplex"],
    "facility": ["local8", "", None, 23, b"local7", ["local7"], {}],
    "token_as_appname": [None, 1, "yes"],
    "structured_data": [None, 0, "no"],
    "user_agent": ["a\nb", "a\r\nX-Y: z", "Zo\xeb", "a ", 5, b"x"],
    "headers": [
        "X: y",
        [("X", "y")],
        5,
        {"X": "y\r\nAuthorization: z"},
        {"X": "y\nz"},
        {"X": "Zo\xeb"},
        {"X": "y\0"},
        {"X": ""},
        {"X": None},
        {"X": 5},
        {"X": b"y"},
        {"X\r\nY": "z"},
        {"X: Y": "z"},
        {"": "z"},
        {"Zo\xeb": "z"},
        {5: "z"},
        {b"X": "z"},
    ],
    "timeout": [0, -1, float("nan"), float("inf"), 86_401, HUGE, "5", None, True, (3, 5)],
    "compress": [None, 1, "gzip"],
    "session_factory": ["requests.Session", 5, {}, coroutine],
    "allow_http": [None, 1, "yes"],
    "batch_size": [0, -1, 1.5, "500", None, True],
    "max_batch_bytes": [0, 10_007, 8_000_001, HUGE, 1e6, "1000000", None],
    "flush_interval": [-0.1, float("nan"), float("inf"), 86_401, HUGE, "1", None, False],
    "max_buffer_bytes": [0, 9_999, -1, 1e7, "16 MiB", None],
    "max_packet_bytes": [0, 2_047, 10_241, HUGE, 1e4, "10000", None],
    "on_full": ["drop", "", None, 5, ["block"], {}],
    "shutdown_timeout": [-1, float("nan"), float("inf"), 86_401, HUGE, "5", None, True],
    "required": [None, 1, "yes"],
    "on_drop": ["print", 5, [], coroutine, partial(coroutine), Coroutine()],
    "streams": [
        "https://t:t0ken@logplex.example",
        5,
        [],
        type("", (), {"url_for": 5})(),
        coroutine,
        type("", (), {"url_for": coroutine})(),
        type("", (), {"url_for": print, "refresh": coroutine})(),
    ],
    "workers": [0, -1, 65, 1.5, "4", None, True],
    "spool": [5, b"/tmp/spool", "/tmp/", "..", "a\0b", ":memory:", ["x"], "\ud800"],
    "max_spool_bytes": [0, 65_535, -1, 1e9, "1 GiB", None, True],
    "relay": [5, b"redis://h", "https://h", "redis://", "redis://h/x", "redis://h?a=b", ["x", 5]],
    "spool_interval": [0, -1, float("nan"), float("inf"), 86_401, HUGE, "1", None, True],
    "health_interval": [0, -1, float("nan"), float("inf"), 86_401, HUGE, "5", True],
}


def test_bad_values_of_every_option_are_tested():
    """A new option gets a row above."""
    assert set(inspect.signature(LogplexHandler).parameters) == set(BAD)


def named(value):
    if value is HUGE:
        return "a huge number"
    # Without addresses, which differ from one test process to another.
    return repr(value).partition(" at 0x")[0][:40].encode("unicode_escape").decode()


@pytest.mark.parametrize(
    ("option", "value"),
    [
        pytest.param(option, value, id=f"{option}={named(value)}")
        for option, values in BAD.items()
        for value in values
    ],
)
def test_a_bad_value_is_an_error_that_names_the_option(option, value):
    """It is a ValueError of the package, it is raised by the constructor, and it has no cause."""
    with pytest.raises(ConfigurationError) as caught:
        LogplexHandler(**{"url": URL} | {option: value})
    assert str(caught.value).startswith(f"{option}: ")
    assert caught.value.__cause__ is caught.value.__context__ is None
    assert not told(caught.value, USER, TOKEN)


@pytest.mark.parametrize(
    ("option", "least", "most"),
    [
        ("timeout", 0.001, 86_400),
        ("batch_size", 1, 10**9),
        ("max_batch_bytes", 10_008, 8_000_000),
        ("flush_interval", 0, 86_400),
        ("max_buffer_bytes", 10_000, 10**12),
        ("max_packet_bytes", 2_048, 10_240),
        ("shutdown_timeout", 0, 86_400),
    ],
)
def test_the_limits_of_a_number_are_good_values(make, option, least, most):
    """The first and the last that are allowed."""
    for value in (least, most):
        assert make(URL, **{option: value}).stats().accepted == 0


@pytest.mark.parametrize(
    "name",
    [
        "Authorization",
        "AUTHORIZATION",
        "Connection",
        "Content-Encoding",
        "Content-Length",
        "content-type",
        "Expect",
        "Host",
        "Logplex-Frame-Id",
        "logplex-msg-count",
        "Transfer-Encoding",
        "User-Agent",
    ],
)
def test_a_header_of_the_handler_s_own_is_refused(name):
    """In any case; the error names it, and does not show its value."""
    with pytest.raises(ValueError, match=f"^headers: {name} ") as caught:
        LogplexHandler(URL, headers={name: DRAIN_TOKEN})
    assert not told(caught.value, DRAIN_TOKEN)


def test_a_bad_header_value_is_not_shown():
    """It may be a secret, as a drain token is."""
    with pytest.raises(ValueError, match=r"^headers: .* Logplex-Drain-Token ") as caught:
        LogplexHandler(URL, headers={"Logplex-Drain-Token": f"{DRAIN_TOKEN}\n"})
    assert not told(caught.value, DRAIN_TOKEN)


@pytest.mark.parametrize(
    ("variable", "value", "option"),
    [
        ("LOGPLEX_HOSTNAME", "---", "hostname"),
        ("LOGPLEX_APPNAME", "---", "appname"),
        ("LOGPLEX_PROCID", "router", "procid"),
        ("LOGPLEX_SOURCE", "us east", "LOGPLEX_SOURCE"),
        ("LOGPLEX_USER_AGENT", "a\nb", "user_agent"),
        ("LOGPLEX_URL", "logplex.example", "LOGPLEX_URL"),
    ],
)
def test_a_bad_value_in_the_environment_is_an_error_too(monkeypatch, variable, value, option):
    """It names the option or the variable."""
    monkeypatch.setenv("LOGPLEX_URL", URL)
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigurationError, match=f"^{option}: "):
        LogplexHandler()


def test_an_unknown_option_is_a_type_error():
    """A misspelt option is not ignored."""
    with pytest.raises(TypeError, match="flush_intervall"):
        LogplexHandler(URL, flush_intervall=1)  # type: ignore[call-arg]


def test_only_the_url_may_be_given_by_position():
    """Configuration that is read by people has names."""
    with pytest.raises(TypeError, match="positional"):
        LogplexHandler(URL, logging.INFO)  # type: ignore[call-arg]


def half_made():
    """The error of a handler that could not be made: its traceback keeps the half of it alive."""
    try:
        LogplexHandler("logplex.example")
    except ConfigurationError as error:
        return error
    raise AssertionError("it was made")


def test_a_handler_that_could_not_be_made_does_not_disturb_the_shutdown():
    """`logging.shutdown`, and so `dictConfig`, finds nothing of it to flush or to close."""
    error = half_made()
    half = [frame.f_locals.get("self") for frame, _ in traceback.walk_tb(error.__traceback__)]
    known = [reference() for reference in logging._handlerList]  # type: ignore[attr-defined]
    assert not [one for one in half if one is not None and one in known]
    logging.shutdown()


def test_a_handler_that_could_not_be_made_can_be_shown():
    """Debuggers and error reporters show the `self` of a traceback's frames."""
    for frame, _ in traceback.walk_tb(half_made().__traceback__):
        assert all(repr(value) for value in frame.f_locals.values())


def test_a_program_that_ends_by_a_bad_option_shows_one_traceback():
    """And not another one, from the interpreter's exit."""
    finished = subprocess.run(
        [sys.executable, "-c", "import logplex_handler as l; l.LogplexHandler('x')"],
        env=os.environ | {"PYTHONPATH": str(PACKAGE.parent)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert (finished.returncode, finished.stderr.count("Traceback (most")) == (1, 1)
