"""A URL's credentials are read once and never shown."""

from __future__ import annotations

import logging
import traceback

import pytest

import logplex_handler
from logplex_handler import ConfigurationError
from logplex_handler.streams import Destination

TOKEN = "t.01234567-89ab-cdef-0123-456789abcdef"


@pytest.mark.parametrize(
    ("url", "endpoint"),
    [
        ("https://token:{}@1.us.logplex.io/logs", "https://1.us.logplex.io/logs"),
        ("https://token:{}@1.us.logplex.io", "https://1.us.logplex.io/logs"),
        ("https://token:{}@1.us.logplex.io?x=1", "https://1.us.logplex.io/logs?x=1"),
        ("https://token:{}@1.us.logplex.io/", "https://1.us.logplex.io/"),
        ("https://token:{}@host:8601/a/b?c=d", "https://host:8601/a/b?c=d"),
        (" https://token:{}@host/logs\n", "https://host/logs"),
        ("HTTPS://token:{}@HOST/Logs", "https://host/Logs"),
        ("http://token:{}@localhost:5000/logs", "http://localhost:5000/logs"),
        ("http://token:{}@app.localhost/logs", "http://app.localhost/logs"),
        ("http://token:{}@127.0.0.1:5000", "http://127.0.0.1:5000/logs"),
        ("http://token:{}@127.9.9.9:5000", "http://127.9.9.9:5000/logs"),
        ("http://token:{}@[::1]:5000/logs", "http://[::1]:5000/logs"),
        ("https://token:{}@[2001:db8::1]/logs", "https://[2001:db8::1]/logs"),
        ("https://token:{}@host:65535/logs", "https://host:65535/logs"),
    ],
)
def test_a_url_becomes_an_endpoint_and_credentials(url, endpoint):
    """The endpoint has no credentials in it; without a path it is `/logs`."""
    found = Destination.from_url(url.format(TOKEN))
    assert found == Destination(endpoint, "token", TOKEN)


@pytest.mark.parametrize(
    "rest",
    [
        "host", "HOST:443/a?b=c", "[::1]:5000/logs", "[::1", "host:0", "host:99999", "host/#a",
        "/logs", "127.0.0.1", "a b", "a\\b", "a\x7fb", "b\ud800", "..", f"{'a' * 64}.b", "ho:st",
        "host/%", "münchen",
    ],
)  # fmt: skip
@pytest.mark.parametrize("scheme", ["https", "http"])
@pytest.mark.parametrize("allow_http", [False, True])
def test_credentials_make_no_other_difference(scheme, rest, allow_http):
    """Those that need no decoding are found faster, and the rest is parsed only once."""

    def found(token):
        try:
            url = f" {scheme}://token:{token}@{rest}\n"
            return Destination.from_url(url, allow_http=allow_http)
        except ConfigurationError as error:
            return str(error)

    assert found("t.2014-a_b~c") == found("t%2E2014-a_b~c")
    other = found("other")
    assert isinstance(other, str) or other.token == "other"


@pytest.mark.parametrize("length", [8192, 8193])
def test_the_length_of_a_url_includes_credentials_of_any_kind(length):
    def problem(token):
        url = f"https://token:{token}@host/"
        try:
            Destination.from_url(url + "a" * (length - len(url)))
        except ConfigurationError as error:
            return str(error)
        return None

    assert problem("t.2014" * 50) == problem("%41.2014" * 50)
    assert (problem("t.2014" * 50) is None) == (length == 8192)


@pytest.mark.parametrize(
    ("url", "token", "user", "password"),
    [
        ("https://any:pw@host/logs", None, "any", "pw"),
        ("https://token:t%40%3A%2F%23@host/logs", None, "token", "t@:/#"),
        ("https://a%20b:c%20d@host/logs", None, "a b", "c d"),
        ("https://token:a:b@host/logs", None, "token", "a:b"),
        ("https://host/logs", "t.2014", "token", "t.2014"),
        ("https://any@host/logs", "t.2014", "any", "t.2014"),
        ("https://token:own@host/logs", "t.2014", "token", "own"),
        ("https://token:gr%C3%BCn@host/logs", None, "token", "grün"),
    ],
)
def test_credentials_are_sent_as_given(url, token, user, password):
    """Unescaped; a separate token is used if the URL has none."""
    found = Destination.from_url(url, token=token)
    assert (found.user, found.token) == (user, password)


def test_http_may_leave_the_machine_if_that_is_allowed():
    """On request only."""
    url = f"http://token:{TOKEN}@receiver.example/logs"
    assert Destination.from_url(url, allow_http=True).endpoint == "http://receiver.example/logs"


@pytest.mark.parametrize(
    ("endpoint", "host"),
    [
        ("https://a.example/logs", "https://a.example"),
        ("https://a.example:8443/logs?x=1", "https://a.example:8443"),
        ("http://[::1]:5000/logs", "http://[::1]:5000"),
    ],
)
def test_a_host_is_scheme_name_and_port(endpoint, host):
    """The unit that is up or down as a whole."""
    assert Destination(endpoint, "u", "t").host == host


def test_a_destination_shows_no_secret():
    """Neither user nor token, nor the query, which could hold one."""
    found = Destination("https://a.example/logs?key=hidden", "someone", TOKEN)
    assert f"{found!r} {found}" == " ".join(["<Destination https://a.example/logs>"] * 2)
    assert found.shown == "https://a.example/logs"


WRONG = [
    (f"https://token:{TOKEN}@ho st/logs", "holds a space"),
    (f"https://token:{TOKEN}@host/lo\ngs", "holds a space, a backslash or a control"),
    (f"https://token:{TOKEN}@host\\logs", "holds a space, a backslash"),
    (f"https://token:{TOKEN}\x7f@host/logs", "or a control character"),
    (f"https://token:{TOKEN}@ho\x85st/", "or a control character"),
    (f"https://token:{TOKEN}@[::1/logs", "is not a well-formed URL"),
    (f"https://token:{TOKEN}@host:port/logs", "is not a well-formed URL"),
    (f"https://token:{TOKEN}@host:65536/logs", "is not a well-formed URL"),
    (f"https://token:{TOKEN}/x@host/logs", "is not a well-formed URL"),
    (f"https://token:{TOKEN}@host:0/logs", "has port 0"),
    (f"ftp://token:{TOKEN}@host/logs", "must begin with https://"),
    (f"token:{TOKEN}@host/logs", "must begin with https://"),
    (f"//token:{TOKEN}@host/logs", "must begin with https://"),
    (TOKEN, "must begin with https://"),
    (f"https://token:{TOKEN}@/logs", "names no host"),
    (f"https:///{TOKEN}", "names no host"),
    (f"https://host/logs#{TOKEN}", "has a fragment"),
    (f"http://token:{TOKEN}@receiver.example/logs", "would send the token unencrypted"),
    (f"http://token:{TOKEN}@10.0.0.1/logs", "would send the token unencrypted"),
    (f"http://token:{TOKEN}@localhost.example/logs", "would send the token unencrypted"),
    (f"https://host/{TOKEN}", "carries no credentials"),
    (f"https://{TOKEN}@host/logs", "carries no credentials"),
    (f"https://:{TOKEN}@host/logs", "carries no credentials"),
    (f"https://token:{TOKEN}%FF@host/logs", "holds credentials that are not UTF-8"),
    (f"https://token:{TOKEN}%0A@host/logs", "holds credentials that cannot be sent"),
    (f"https://a%3Ab:{TOKEN}@host/logs", "holds credentials that cannot be sent"),
    (f"https://token:{TOKEN}\ud800@host/logs", "cannot be requested"),
    (f"https://token:{TOKEN}@host/\ud800", "cannot be requested"),
    (f"https://token:{TOKEN}@.example/logs", "host that cannot be"),
    (f"https://token:{TOKEN}@*.example/logs", "cannot be requested"),
    (f"https://token:{TOKEN}@{'é' * 70}.example/logs", "host that cannot be"),
    (f"https://token:{TOKEN}@a..b/logs", "host that cannot be"),
    (f"https://token:{TOKEN}@{'a' * 64}.example/logs", "host that cannot be"),
    (f"https://token:{TOKEN}@{'a.' * 126}ab/logs", "host that cannot be"),
    (f"https://token:{TOKEN}@host/{'a' * 8192}", "is longer than 8,192 characters"),
    (f"https://token:{TOKEN}@host/{'x'}".encode(), "must be a string"),
    (["https://token:", TOKEN], "must be a string"),
]
wrong = pytest.mark.parametrize(
    ("url", "problem"),
    WRONG,
    ids=[f"{index}-{problem}" for index, (_, problem) in enumerate(WRONG)],
)


@wrong
def test_an_error_names_the_option_and_what_is_wrong(url, problem):
    """It is a ConfigurationError, so a ValueError."""
    with pytest.raises(ConfigurationError) as caught:
        Destination.from_url(url, option="LOGPLEX_URL")
    assert str(caught.value).startswith("LOGPLEX_URL: ")
    assert problem in str(caught.value)
    assert isinstance(caught.value, ValueError)


@wrong
def test_no_error_shows_the_url_or_the_token(url, problem):
    """Not in its text, in its causes, or in variables of the package's frames."""
    with pytest.raises(ConfigurationError) as caught:
        Destination.from_url(url)
    check_hidden(caught.value)


@wrong
def test_no_error_of_the_handler_shows_the_url_or_the_token(url, problem):
    """The same from the front door."""
    with pytest.raises(ConfigurationError) as caught:
        logplex_handler.LogplexHandler(url)
    assert str(caught.value).startswith("url: ")
    check_hidden(caught.value)


def unfinished(error):
    """The handlers that the frames of an error hold."""
    return [
        value
        for frame, _ in traceback.walk_tb(error.__traceback__)
        for value in frame.f_locals.values()
        if isinstance(value, logplex_handler.LogplexHandler)
    ]


def test_a_handler_that_was_not_made_can_be_shown():
    """An error report prints the arguments of every call, the unfinished handler among them."""
    with pytest.raises(ConfigurationError) as caught:
        logplex_handler.LogplexHandler(f"ftp://token:{TOKEN}@host/logs")
    shown = [repr(handler) for handler in unfinished(caught.value)]
    assert len(shown) == 1
    assert "LogplexHandler" in shown[0]


def test_a_handler_that_was_not_made_is_not_flushed_at_exit():
    """Logging flushes and closes all handlers that it knows; this one it does not."""
    with pytest.raises(ConfigurationError) as caught:
        logplex_handler.LogplexHandler(f"ftp://token:{TOKEN}@host/logs")
    known = [reference() for reference in logging._handlerList]  # type: ignore[attr-defined]
    assert not any(handler in known for handler in unfinished(caught.value))


def test_a_token_beside_a_malformed_url_is_not_shown_either():
    """Whichever way it came."""
    with pytest.raises(ConfigurationError) as caught:
        Destination.from_url("https://host:port/logs", token=TOKEN)
    check_hidden(caught.value)


def check_hidden(error):
    """Nothing that an error report collects holds the token."""
    assert TOKEN not in str(error)
    assert TOKEN not in repr(error)
    assert error.__cause__ is None
    assert error.__context__ is None
    frames = [
        frame
        for frame, _ in traceback.walk_tb(error.__traceback__)
        if frame.f_globals["__name__"].startswith("logplex_handler")
    ]
    assert frames
    for frame in frames:
        for name, value in frame.f_locals.items():
            attributes = getattr(value, "__dict__", None)
            assert TOKEN not in repr(value if attributes is None else attributes), name
