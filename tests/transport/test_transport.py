"""One request, made by the transport without a network."""

import base64
import gc
import gzip
import ssl
import time
from unittest.mock import Mock

import pytest
import requests
import responses
import urllib3.exceptions

from logplex_handler._process.reentrancy import Activity, current_activity
from logplex_handler._transport import errors
from logplex_handler._transport.answer import retry_after
from logplex_handler._transport.session import bind
from logplex_handler._transport.transport import Transport, TransportOptions
from logplex_handler.streams import Destination
from tests.patience import PATIENCE
from tests.servers import refusing_port

URL = "https://logplex.test/logs"
TOKEN = "t.01234567-89ab-cdef-0123-456789abcdef"


def options(**given):
    defaults = {
        "headers": {"User-Agent": "logplex_handler/0"},
        "timeout": PATIENCE,
        "compress": False,
        "session_factory": None,
    }
    return TransportOptions(**{**defaults, **given})


def post(transport=None):
    return (transport or Transport(options())).post(
        Destination(URL, "token", TOKEN), b"3 foo3 bar", frames=2, frame_id="an-id"
    )


@responses.activate
def test_a_request_is_a_post_of_the_frames_with_basic_authentication():
    """The body is the frames with nothing between them; the URL carries no credentials."""
    responses.post(URL, status=204)
    answer = post()
    request = responses.calls[0].request
    assert (answer.status, answer.bytes_sent) == (204, 10)
    assert request.url == URL
    assert request.body == b"3 foo3 bar"
    scheme, _, credentials = request.headers["Authorization"].partition(" ")
    assert scheme == "Basic"
    assert base64.b64decode(credentials).decode() == f"token:{TOKEN}"
    assert request.headers["Logplex-Msg-Count"] == "2"
    assert request.headers["Logplex-Frame-Id"] == "an-id"
    assert request.headers["Content-Type"] == "application/logplex-1"
    assert request.headers["Content-Length"] == "10"


@responses.activate
def test_a_compressed_request_is_the_same_bytes_on_every_try():
    """No time stamp in the gzip header, so a retry is a repetition."""
    responses.post(URL, status=204)
    transport = Transport(options(compress=True))
    post(transport)
    post(transport)
    first, second = (call.request for call in responses.calls)
    assert first.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(first.body) == b"3 foo3 bar"
    assert first.body == second.body


_REASONS = urllib3.exceptions


@pytest.mark.parametrize(
    ("error", "name", "maybe"),
    [
        (requests.ConnectTimeout(), "ConnectTimeout", False),
        (requests.ReadTimeout(), "ReadTimeout", True),
        (requests.exceptions.SSLError(), "SSLError", True),
        (
            requests.exceptions.SSLError(
                _REASONS.MaxRetryError(
                    Mock(), URL, _REASONS.SSLError(ssl.SSLCertVerificationError(TOKEN))
                )
            ),
            "SSLError",
            False,
        ),
        (requests.exceptions.ProxyError(), "ProxyError", False),
        (requests.exceptions.InvalidHeader(), "InvalidHeader", False),
        (
            requests.ConnectionError(
                # Neither pool nor connection matters.
                _REASONS.MaxRetryError(Mock(), URL, _REASONS.NewConnectionError(Mock(), TOKEN))
            ),
            "NewConnectionError",
            False,
        ),
        (
            requests.ConnectionError(_REASONS.ProtocolError(TOKEN, ConnectionResetError())),
            "ProtocolError",
            True,
        ),
        (requests.ConnectionError(), "ConnectionError", True),
        (ConnectionResetError(), "ConnectionResetError", True),
        (ZeroDivisionError(TOKEN), "ZeroDivisionError", False),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@responses.activate
def test_an_exception_becomes_an_answer_that_names_its_kind_alone(error, name, maybe):
    """Its text, which may quote a URL, is left; whether the batch may have arrived is said."""
    responses.post(URL, body=error)
    answer = post()
    assert (answer.status, answer.failure, answer.maybe_delivered) == (None, name, maybe)
    assert TOKEN not in repr(answer)


@pytest.mark.parametrize(
    ("error", "closed"),
    [
        (ssl.SSLEOFError(), True),
        (ssl.SSLZeroReturnError(), True),
        (ssl.SSLError(), False),
        (ssl.SSLCertVerificationError(), False),
    ],
)
def test_the_end_of_a_tls_connection_is_one(error, closed):
    """As where there is no TLS: a kept one that had been closed is no sign of trouble."""
    wrapped = _REASONS.MaxRetryError(Mock(), URL, _REASONS.SSLError(error))
    assert errors.is_closed_connection(requests.exceptions.SSLError(wrapped)) == closed


@responses.activate
def test_a_request_is_marked_while_it_is_made_and_not_after():
    """Records logged during it can be told from the application's own."""
    marks = []
    responses.add_callback(
        responses.POST,
        URL,
        lambda request: (marks.append(current_activity.get()), (204, {}, ""))[1],
    )
    post()
    assert marks == [Activity.REQUEST]
    assert current_activity.get() is None


@responses.activate
def test_redirects_are_answers():
    """The credentials are not sent to another place."""
    responses.post(URL, status=302, headers={"Location": "https://elsewhere.test/"})
    assert post().status == 302
    assert len(responses.calls) == 1


def test_certificates_are_verified_whatever_the_session_says():
    """A session can name a CA, but not switch the check off."""
    seen = []

    class Session(requests.Session):
        def send(self, request, **kwargs):
            seen.append(kwargs["verify"])
            raise requests.ConnectTimeout

    def factory(verify):
        session = Session()
        session.trust_env = False
        session.verify = verify
        return session

    for verify in (True, False, "/a/private/ca.pem"):
        post(Transport(options(session_factory=lambda verify=verify: factory(verify))))
    assert seen == [True, True, "/a/private/ca.pem"]


def test_a_session_factory_that_returns_something_else_is_a_failure():
    """It is an answer like others, and tried again."""
    answer = post(Transport(options(session_factory=lambda: "a session")))
    assert answer.failure == "session_factory: TypeError"
    assert not answer.maybe_delivered
    assert not answer.was_tried


def test_adapters_of_the_callers_own_are_left_alone():
    """Only ordinary ones are replaced, with their configuration."""

    class Own(requests.adapters.HTTPAdapter):
        pass

    own = Own()
    session = requests.Session()
    session.mount("https://", own)
    session.mount("http://", requests.adapters.HTTPAdapter(max_retries=3, pool_maxsize=7))
    bind(session)
    assert session.adapters["https://"] is own
    replaced = session.adapters["http://"]
    assert type(replaced) is not requests.adapters.HTTPAdapter
    assert (replaced.max_retries.total, replaced._pool_maxsize) == (3, 7)


def test_a_session_that_cannot_be_closed_is_no_failure_of_the_caller_s():
    """It is the application's, and may be of any class."""

    class Session(requests.Session):
        def send(self, request, **kwargs):
            raise requests.ConnectTimeout

        def close(self):
            raise ZeroDivisionError

    transport = Transport(options(session_factory=Session))
    assert post(transport).failure == "ConnectTimeout"
    transport.close()


def test_no_request_with_its_credentials_outlives_a_failure():
    """Nothing that an error reporter could find holds one: not even an exception's traceback."""
    with refusing_port() as port:
        # No other test's requests go to that path.
        destination = Destination(f"http://127.0.0.1:{port}/refused-at-once", "token", TOKEN)
        transport = Transport(options())
        answer = transport.post(destination, b"3 foo", frames=1, frame_id="an-id")
        transport.close()
    assert answer.failure == "NewConnectionError"
    requested = [one for one in gc.get_objects() if type(one) is requests.PreparedRequest]
    assert not [one for one in requested if one.url and "/refused-at-once" in one.url]


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("0", 0),
        (" 120 ", 120),
        ("999999", 600),
        ("9" * 400, 600),
        ("Thu, 01 Jan 1970 00:01:30 GMT", 80),
        ("Thursday, 01-Jan-70 00:01:30 GMT", 80),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
        ("Thu, 01 Jan 2099 00:00:00 GMT", 600),
        ("Thu, 99 Jan 1970 00:00:00 GMT", None),
        ("\u0661", None),
    ],
)
def test_retry_after_is_read_in_both_forms(value, seconds):
    """Seconds or a date, ten minutes at most; other values are ignored."""
    assert retry_after(value, now=10.0) == seconds


@responses.activate
def test_a_session_is_opened_once_and_again_after_close():
    """Connections are kept from request to request."""
    responses.post(URL, status=204)
    made = []

    def factory():
        made.append(requests.Session())
        return made[-1]

    transport = Transport(options(session_factory=factory))
    post(transport)
    post(transport)
    assert len(made) == 1
    transport.close()
    post(transport)
    assert len(made) == 2


@responses.activate
def test_a_connection_that_was_idle_for_long_is_not_used_again(monkeypatch):
    """Logplex closes it after 5 seconds, and a request that meets the closing may be lost."""
    responses.post(URL, status=204)
    closed = []

    class Session(requests.Session):
        def close(self):
            closed.append(time.monotonic())
            super().close()

    transport = Transport(options(session_factory=Session))
    post(transport)
    assert not closed
    monkeypatch.setattr("logplex_handler._transport.transport._MAX_IDLE", 0.0)
    post(transport)
    assert len(closed) == 1


@responses.activate
def test_the_environment_is_read_once_for_a_connection(monkeypatch):
    """Not for every request: that would be a third of its cost."""
    read = []
    real = requests.sessions.get_environ_proxies
    monkeypatch.setattr(
        requests.sessions,
        "get_environ_proxies",
        lambda url, no_proxy=None: read.append(url) or real(url, no_proxy=no_proxy),
    )
    responses.post(URL, status=204)
    transport = Transport(options())
    for _ in range(5):
        assert post(transport).status == 204
    # The first one opens the connection.
    assert len(read) <= 2
    transport.close()
    post(transport)
    assert len(read) <= 3


@responses.activate
def test_a_session_of_the_application_s_may_change_between_requests():
    """Headers added later are sent."""
    session = requests.Session()
    responses.post(URL, status=204)
    transport = Transport(options(session_factory=lambda: session))
    post(transport)
    session.headers["X-Later"] = "yes"
    post(transport)
    assert [call.request.headers.get("X-Later") for call in responses.calls] == [None, "yes"]


@responses.activate
def test_each_request_has_a_body_and_a_length_of_its_own():
    """Whatever the one before it was."""
    responses.post(URL, status=204)
    transport = Transport(options())
    destination = Destination(URL, "token", TOKEN)
    for body in (b"3 foo", b"3 foo3 bar", b"1 x"):
        transport.post(destination, body, frames=1, frame_id=str(len(body)))
    sent = [call.request for call in responses.calls]
    assert [request.body for request in sent] == [b"3 foo", b"3 foo3 bar", b"1 x"]
    assert [request.headers["Content-Length"] for request in sent] == ["5", "10", "3"]
    assert [request.headers["Logplex-Frame-Id"] for request in sent] == ["5", "10", "3"]
