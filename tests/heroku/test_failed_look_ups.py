"""Look-ups that fail: unusable answers, redirects, rate limits, slow APIs."""

import gc
import json

import pytest
import requests
import responses

from logplex_handler._process import diagnostics
from logplex_handler.heroku import PlatformAPI
from tests.heroku.shared import (
    APP_INFO,
    ATTACHMENTS,
    TOKEN,
    Partner,
    app_info,
    attachment,
    platform,
    refused,
)
from tests.heroku.stand_in import (
    OLD,
    SECRET,
    UUID,
)
from tests.pace import stopwatch
from tests.servers import hang_up, serving

# What goes wrong.


@responses.activate
@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ({"status": 500}, "addon-attachments: status 500"),
        ({"status": 403}, "addon-attachments: status 403"),
        ({"status": 206, "json": [attachment()]}, "addon-attachments: status 206"),
        ({"body": b"<html>"}, "the answer is no list"),
        ({"body": b"[" * 100_000}, "the answer is no list"),
        ({"body": json.dumps([attachment()]) + " " * 2_000_000}, "the answer is no list"),
        ({"json": {}}, "the answer is no list"),
        ({"json": ["secret"]}, "the answer names no app"),
        ({"json": [{"app": {"id": 5}}]}, "the answer names no app"),
        ({"json": [{"app": {"id": "app-1"}}]}, "has no log_input_url"),
        ({"json": [attachment(["secret"])]}, "neither a string nor null"),
        ({"json": [attachment("t.secret")]}, "log_input_url: cannot be used"),
        ({"body": requests.ConnectTimeout("secret")}, "api.heroku.com: ConnectTimeout"),
        ({"body": requests.ReadTimeout("secret")}, "api.heroku.com: ReadTimeout"),
        ({"body": requests.ConnectionError("secret")}, "api.heroku.com: ConnectionError"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_answer_that_cannot_be_used_is_a_failed_look_up(answer, problem):
    """It is for the handler to ask again; nothing secret is in the error."""
    responses.get(ATTACHMENTS, **answer)
    partner = Partner()
    error = refused(platform(partner).refresh, "one", OLD)
    assert problem in str(error)
    assert error.retry_after is None
    assert not partner.rotated


@responses.activate
@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ({"status": 404}, "status 404 (still provisioning, or gone)"),
        ({"status": 401}, "status 401 (are user and password those of the manifest?)"),
        ({"status": 503}, "vendor/apps: status 503"),
        ({"json": []}, "has no log_input_url"),
        ({"json": {"id": "any"}}, "has no log_input_url"),
        ({"json": {"log_input_url": 5}}, "neither a string nor null"),
        ({"body": requests.ReadTimeout("secret")}, "api.heroku.com: ReadTimeout"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_so_it_is_with_the_legacy_api(answer, problem):
    """There, a missing resource may still be created."""
    responses.get(APP_INFO, **answer)
    partner = Partner(id="app1@heroku.com", log_input_url=None)
    assert problem in str(refused(app_info(partner).url_for, "one"))


@responses.activate
def test_what_is_not_there_any_more_has_ended(capsys, monkeypatch):
    """So has a null URL, as of an app of the Fir generation. Each is reported once."""
    monkeypatch.setattr(diagnostics, "_INTERVAL", 0.0)
    responses.get(ATTACHMENTS, status=404)
    api = platform(Partner(log_input_url=None))
    assert [api.url_for("one"), api.refresh("one", OLD)] == [None, None]
    assert capsys.readouterr().err == (
        f"logplex_handler: stream 'one': there is no add-on {UUID} (any more)\n"
    )
    responses.get(APP_INFO, status=404)
    legacy = app_info(Partner(id="app1@heroku.com"))
    assert [legacy.refresh("one", OLD), legacy.refresh("one", OLD)] == [None, None]
    assert capsys.readouterr().err.count("there is no app app1@heroku.com any more") == 1
    responses.replace(responses.GET, APP_INFO, json={"log_input_url": None})
    legacy = app_info(Partner(id="app1@heroku.com", log_input_url=None))
    assert [legacy.url_for("one"), legacy.url_for("one")] == [None, None]
    assert capsys.readouterr().err.count("log_input_url is null") == 1


@responses.activate
def test_an_end_that_was_not_said_is_said_by_a_later_look_up(capsys, monkeypatch):
    """As if another stream has ended within the same minute."""
    responses.get(ATTACHMENTS, status=404)
    api = platform(Partner(log_input_url=None))
    assert [api.url_for("one"), api.url_for("two")] == [None, None]
    assert "'two'" not in capsys.readouterr().err
    monkeypatch.setattr(diagnostics, "_INTERVAL", 0.0)
    assert [api.url_for("two"), api.url_for("two")] == [None, None]
    assert capsys.readouterr().err.count("stream 'two': there is no add-on") == 1


@responses.activate
def test_heroku_may_ask_for_patience():
    """How long is in the error, for the handler."""
    responses.get(ATTACHMENTS, status=429, headers={"Retry-After": "77"})
    error = refused(platform(Partner()).refresh, "one", OLD)
    assert (str(error), error.retry_after) == ("addon-attachments: status 429", 77)


@responses.activate
def test_credentials_follow_no_redirect():
    """Not even to the same host."""
    elsewhere = {"Location": "https://api.heroku.com/elsewhere"}
    responses.get(ATTACHMENTS, status=302, headers=elsewhere)
    assert "status 302" in str(refused(platform(Partner()).refresh, "one", OLD))
    responses.replace(responses.GET, ATTACHMENTS, status=401)
    responses.post(TOKEN, status=307, headers=elsewhere)
    assert "oauth/token: status 307" in str(refused(platform(Partner()).refresh, "one", OLD))
    assert len(responses.calls) == 3


def test_nothing_is_taken_from_netrc_and_no_check_is_left_out(tmp_path, monkeypatch):
    """Whatever the session says; a CA of its own counts."""
    netrc = tmp_path / "netrc"
    netrc.write_text("default login someone password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    monkeypatch.delenv("CURL_CA_BUNDLE", raising=False)
    sent = []

    class Session(requests.Session):
        def send(self, request, **given):
            sent.append((request.headers.get("Authorization"), given["verify"]))
            raise requests.ConnectionError

    def sessions(verify):
        session = Session()
        session.verify = verify
        return session

    for verify in (False, "/a/ca.pem"):
        options = {"session_factory": lambda verify=verify: sessions(verify)}
        refused(platform(Partner(), **options).refresh, "one", OLD)
        refused(platform(Partner(), **options).exchange, "the-grant's-code")
    assert sent == [
        ("Bearer access-0", True),
        (None, True),
        ("Bearer access-0", "/a/ca.pem"),
        (None, "/a/ca.pem"),
    ]


def test_a_session_factory_that_fails_is_contained():
    """As is a factory that returns no session."""

    def fails():
        raise RuntimeError("secret")

    for factory, problem in ((fails, "RuntimeError"), (lambda: "secret", "TypeError")):
        api = platform(Partner(), session_factory=factory)
        assert str(refused(api.refresh, "one", OLD)) == f"api.heroku.com: {problem}"


@pytest.mark.parametrize("answer", [RuntimeError("secret"), "secret", ["secret"]])
def test_a_record_that_fails_is_a_failed_look_up(answer):
    """Its text may hold anything."""

    def record(stream):
        if isinstance(answer, Exception):
            raise answer
        return answer

    api = PlatformAPI(record, client_secret=SECRET)
    for ask in (api.url_for, api.attachments):
        assert str(refused(ask, "one")).startswith("record: ")


def test_an_api_that_trickles_is_given_up():
    """After four times the time-out, however slowly it answers."""

    def trickle(connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while not server.stopped.wait(0.05):
            connection.sendall(b"[")

    with serving(trickle) as server:
        url = f"http://127.0.0.1:{server.port}"
        api = platform(Partner(), timeout=0.2, api_url=url)
        with stopwatch() as watch:
            error = refused(api.refresh, "one", OLD)
            assert watch.seconds < 5
    assert str(error).startswith("127.0.0.1: ")


def prepared_requests(host):
    """The requests to a host: other threads may make some for other tests."""
    found = [one for one in gc.get_objects() if type(one) is requests.PreparedRequest]
    return [one for one in found if one.url and host in one.url]


def test_a_failed_request_leaves_nothing_in_memory():
    """It would wait there, with its credentials, for a garbage collection."""
    with serving(hang_up) as server:
        host = f"127.0.0.1:{server.port}/"
        api = platform(Partner(), api_url=f"http://127.0.0.1:{server.port}")
        gc.collect()
        gc.disable()
        try:
            before = prepared_requests(host)
            refused(api.refresh, "one", OLD)
            after = prepared_requests(host)
            left = [one for one in after if all(one is not old for old in before)]
        finally:
            gc.enable()
    assert not any("Authorization" in one.headers for one in left)
