"""No failure shows a secret: not on stderr, in a log, in a traceback, or in a variable."""

from __future__ import annotations

import base64
import contextlib
import faulthandler
import gc
import http.client
import logging
import pprint
import sys
import threading
import traceback
import types
from urllib.parse import quote

import pytest
import requests

from logplex_handler import LogplexHandler
from logplex_handler._transport.transport import Transport, TransportOptions
from logplex_handler.streams import Destination
from logplex_handler.testing import LogplexReceiver
from tests.logs import logging_to, wait_until
from tests.servers import accept, answer, hang, hang_up, refusing_port, reset, serving

TOKEN = "t.secret/0123456789"
HEADER = "d.another-secret"
SECRETS = (
    TOKEN,
    quote(TOKEN, safe=""),
    base64.b64encode(f"token:{TOKEN}".encode()).decode(),
    HEADER,
)


def url_of(port, host="127.0.0.1"):
    return f"http://token:{quote(TOKEN, safe='')}@{host}:{port}/logs"


def check(*shown):
    """None of the texts holds a secret; which one it is, is not shown."""
    for number, text in enumerate(shown):
        assert not [True for secret in SECRETS if secret in text], f"text {number} holds a secret"


def with_variables(error):
    """What an error reporter sends: the traceback with the variables of each frame.

    Those of the caller, here, are its own: they hold the URL that it has given.
    """
    report = traceback.TracebackException.from_exception(error, capture_locals=True)
    texts = []
    chain = [report]
    while chain:
        one = chain.pop()
        texts.append("".join(one.format_exception_only()))
        texts += [
            f"{frame.name}: {frame.locals}" for frame in one.stack if frame.filename != __file__
        ]
        chain += [other for other in (one.__cause__, one.__context__) if other is not None]
    return "\n".join(texts)


BAD_URLS = [
    f"http://token:{TOKEN}@[bad/logs",
    f"https://token:{quote(TOKEN, safe='')}@host:99999/logs",
    f"https://token:{quote(TOKEN, safe='')}@/logs",
    f"ftp://token:{quote(TOKEN, safe='')}@host/logs",
    f"https://token:{quote(TOKEN, safe='')}@host/logs#x",
    f"http://token:{quote(TOKEN, safe='')}@example.com/logs",
    f"https://to:ken:{quote(TOKEN, safe='')}%00@host/logs",
    f"https://token:{quote(TOKEN, safe='')}@ho st/logs",
    f"https://token:{quote(TOKEN, safe='')}@{'x' * 70}.com/logs",
    f"token:{TOKEN}@host",
]
BAD_OPTIONS = [
    {"level": "none such"},
    {"timeout": -1},
    {"batch_size": "x"},
    {"on_full": "x"},
    {"facility": "x"},
    {"appname": "x", "token_as_appname": True},
    {"headers": {"X-One": HEADER + "\r\nX-Two: 2"}},
    {"headers": {"X-One": HEADER, "Host": "x"}},
    {"headers": {f"{HEADER}\r\nX": "1"}},
    {"headers": {f"{HEADER}\x00": "1"}},
    {"user_agent": "x\r\nX-One: 1"},
]


@pytest.mark.parametrize("url", BAD_URLS)
def test_a_bad_url_is_in_no_variable_of_a_traceback(url):
    """Nor in the error itself."""
    for make in (LogplexHandler, Destination.from_url):
        with pytest.raises(ValueError) as caught:  # noqa: PT011 (its text is looked at here)
            make(url)
        check(str(caught.value), repr(caught.value), with_variables(caught.value))


@pytest.mark.parametrize("options", BAD_OPTIONS, ids=[*map(str, range(len(BAD_OPTIONS)))])
def test_a_bad_option_beside_a_good_url_shows_neither(options):
    """CR and LF among them, which would forge a header."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011 (its text is looked at here)
        LogplexHandler(url_of(1), **{"headers": {"X-One": HEADER}, **options})
    check(str(caught.value), repr(caught.value), with_variables(caught.value))


@contextlib.contextmanager
def _nobody():
    """No server at all: nothing listens there."""
    with refusing_port() as port:
        yield types.SimpleNamespace(port=port)


FAILING = {
    "refused connections": _nobody,
    "resets": lambda: serving(reset),
    "hang-ups": lambda: serving(hang_up),
    "a redirect": lambda: serving(answer(302, f"Location: http://x:{quote(TOKEN, safe='')}@h/")),
    "a malformed redirect": lambda: serving(answer(302, "Location: http://[bad")),
    "a bad status": lambda: serving(answer(401, 'WWW-Authenticate: Basic realm="x"')),
    "a proxy's status": lambda: serving(answer(407, "Proxy-Authenticate: Basic")),
    "a refusal": lambda: serving(answer(400)),
    "no HTTP": lambda: serving(lambda connection: connection.sendall(b"\0" * 100 + b"\r\n\r\n")),
    "no length": lambda: serving(answer(503, "Transfer-Encoding: chunked")),
    "no answer": lambda: serving(hang),
}


@pytest.fixture
def _everything_logged():
    """All loggers of the HTTP libraries are at DEBUG."""
    loggers = [logging.getLogger(name) for name in ("", "urllib3", "requests")]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
    yield
    for logger, level in zip(loggers, before, strict=True):
        logger.setLevel(level)


@pytest.mark.parametrize("failing", FAILING.values(), ids=FAILING)
@pytest.mark.usefixtures("_everything_logged", "short_waits")
def test_no_failure_of_a_request_says_a_secret(failing, capfd, caplog, tmp_path):
    """On stderr, in logs, in a dump of all threads, or in any object of the package."""
    with (
        failing() as server,
        logging_to(
            url_of(server.port),
            timeout=0.2,
            flush_interval=0.01,
            shutdown_timeout=0.1,
            headers={"X-One": HEADER},
        ) as (logger, handler),
    ):
        logger.info("line")
        assert wait_until(lambda: handler.stats().requests >= 4)
        with (tmp_path / "dump").open("w+") as dump:
            faulthandler.dump_traceback(dump, all_threads=True)
            dump.seek(0)
            check(dump.read())
        handler.flush(0.1)
        check(repr(handler), pprint.pformat(vars(handler)), *_objects(handler))
    said = capfd.readouterr()
    assert "logplex_handler" in said.err
    check(said.out, said.err, caplog.text)


def _objects(root):
    """How all objects of the package that can be reached from this one show themselves."""
    seen = {id(root)}
    left = [root]
    while left:
        one = left.pop()
        if type(one).__module__.startswith("logplex_handler"):
            yield repr(one)
            yield str(one)
        if isinstance(one, type | types.ModuleType | types.FunctionType | logging.Logger):
            continue
        for other in gc.get_referents(one):
            if id(other) not in seen:
                seen.add(id(other))
                left.append(other)


def test_every_public_object_shows_itself_without_a_secret():
    """Those of the package, and those of `testing`."""
    with LogplexReceiver(tokens=[TOKEN]) as logplex, logging_to(logplex.url) as (logger, handler):
        logger.info("line")
        assert handler.flush()
        public = [
            *[handler, handler.stats(), Destination.from_url(logplex.url)],
            *[logplex, *logplex.lines, *logplex.requests],
        ]
        check(*map(repr, public), *map(str, public), pprint.pformat(public))
        check(*_objects(handler))


def test_a_failing_formatter_is_reported_without_a_secret(capsys, monkeypatch):
    """By `logging` itself, and by a `handleError` that looks at the variables of all frames."""
    reports = []

    class Failing(logging.Formatter):
        def format(self, record):
            raise KeyError("missing")

    class Reporting(LogplexHandler):
        def handleError(self, record):
            error = sys.exc_info()[1]
            reports.append(with_variables(error))
            super().handleError(record)

    monkeypatch.setattr(logging, "raiseExceptions", True)
    handler = Reporting(url_of(1), shutdown_timeout=0.1, headers={"X-One": HEADER})
    handler.setFormatter(Failing())
    handler.handle(logging.makeLogRecord({"msg": "line"}))
    handler.close()
    assert "KeyError" in reports[0]
    said = capsys.readouterr().err
    assert "--- Logging error ---" in said
    check(said, *reports)


class _Interrupted(requests.Session):
    """A signal strikes in the depth of a request, when the credentials are in many variables."""

    def send(self, request, **kwargs):
        headers = dict(request.headers)
        if headers:
            raise KeyboardInterrupt
        return super().send(request, **kwargs)


@pytest.mark.parametrize("inside", ["the session", "the libraries"])
def test_an_interrupted_request_is_reported_without_a_secret(inside, monkeypatch):
    """The interrupt goes on, and the frames of the HTTP libraries are empty by then."""
    factory = _Interrupted if inside == "the session" else None
    here, begin = threading.get_ident(), http.client.HTTPResponse.begin

    def strike(response):
        # Requests of other threads go on.
        if threading.get_ident() == here:
            raise KeyboardInterrupt
        begin(response)

    with serving(accept) as server:
        if factory is None:
            monkeypatch.setattr(http.client.HTTPResponse, "begin", strike)
        transport = Transport(TransportOptions({"X-One": HEADER}, 1.0, False, factory))
        destination = Destination.from_url(url_of(server.port))
        with pytest.raises(KeyboardInterrupt) as caught:
            transport.post(destination, b"3 foo", frames=1, frame_id="x")
        transport.close()
    report = with_variables(caught.value)
    assert "_post" in report
    assert "urlopen" in report or factory is not None
    check(report)
