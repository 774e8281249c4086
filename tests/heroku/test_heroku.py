"""Heroku's partner APIs: where a stream goes, and what of it the partner gets to store."""

import base64
import gc
import json
import logging
import os
import signal
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from urllib.parse import parse_qs

import pytest
import requests
import responses

from logplex_handler import ConfigurationError, LookupFailed
from logplex_handler._process import diagnostics
from logplex_handler.heroku import AppInfoAPI, PlatformAPI, Provision, Resource, Tokens
from logplex_handler.streams import Destination, resolution
from logplex_handler.testing import LogplexReceiver
from tests.heroku.stand_in import (
    NEW,
    OLD,
    PASSWORD,
    SECRET,
    SECRETS,
    UUID,
    Addon,
    check_hidden,
    standing_in,
)
from tests.logs import balanced, logging_to, wait_until
from tests.servers import hang_up, serving

ATTACHMENTS = f"https://api.heroku.com/addons/{UUID}/addon-attachments"
TOKEN = "https://id.heroku.com/oauth/token"
APP_INFO = "https://api.heroku.com/vendor/apps/app1@heroku.com"


class Partner:
    """A partner's record of one resource, and what it was told."""

    def __init__(self, **known):
        given = {"log_input_url": OLD, "access_token": "access-0", "refresh_token": "refresh-0"}
        self.resource = Resource(**({"id": UUID} | given | known))
        self.rotated: list[tuple[object, str]] = []
        self.renewed: list[tuple[object, Tokens]] = []

    def __call__(self, stream):
        return self.resource if stream != "unknown" else None

    def on_rotate(self, stream, url):
        self.rotated.append((stream, url))
        self.resource = replace(self.resource, log_input_url=url)

    def on_tokens(self, stream, tokens):
        self.renewed.append((stream, tokens))
        self.resource = replace(
            self.resource, access_token=tokens.access_token, refresh_token=tokens.refresh_token
        )


def platform(partner, **options):
    given = {"on_tokens": partner.on_tokens, "on_rotate": partner.on_rotate}
    return PlatformAPI(partner, client_secret=SECRET, **(given | options))


def app_info(partner, **options):
    given = {"on_rotate": partner.on_rotate}
    return AppInfoAPI(partner, user="my-addon", password=PASSWORD, **(given | options))


def at(heroku):
    return {"api_url": heroku.url, "id_url": heroku.url}


def attachment(url=NEW, app="app-1", owner="app-1"):
    return {
        "addon": {"id": UUID, "app": {"id": owner, "name": "any"}},
        "app": {"id": app, "name": f"name-of-{app}"},
        "log_input_url": url,
    }


def refused(call, *arguments):
    """The LookupFailed of a call, which shows no secret."""
    with pytest.raises(LookupFailed) as caught:
        call(*arguments)
    check_hidden(caught.value)
    return caught.value


# One look-up.


@responses.activate
def test_a_url_on_record_is_used_without_a_request():
    """With the app's id as hostname."""
    found = platform(Partner(app_id="App_1")).url_for("one")
    assert found == Destination.from_url(OLD, hostname="app-1")
    assert not responses.calls


@responses.activate
def test_a_stream_that_is_not_on_record_is_unknown():
    """Nobody is asked."""
    for api in (platform(Partner()), PlatformAPI({}.__getitem__, client_secret=SECRET)):
        assert api.url_for("unknown") is None
        assert api.refresh("unknown", OLD) is None
    assert not responses.calls


@responses.activate
def test_a_refused_url_is_looked_up_with_the_token_of_the_resource():
    """As the Platform API for Partners has it; nothing secret is in the URL."""
    responses.get(ATTACHMENTS, json=[attachment()])
    partner = Partner()
    found = platform(partner).refresh("one", Destination.from_url(OLD))
    assert found == Destination.from_url(NEW, hostname="app-1")
    (call,) = responses.calls
    assert call.request.url == ATTACHMENTS
    assert call.request.headers["Authorization"] == "Bearer access-0"
    assert call.request.headers["Accept"] == "application/vnd.heroku+json; version=3"
    assert partner.rotated == [("one", NEW)]
    assert not partner.renewed


@responses.activate
@pytest.mark.parametrize("recorded", [None, "rubbish"])
def test_without_a_usable_url_on_record_it_is_looked_up_at_once(recorded):
    """And goes on record."""
    responses.get(ATTACHMENTS, json=[attachment()])
    partner = Partner(log_input_url=recorded)
    api = platform(partner)
    assert api.url_for("one") == Destination.from_url(NEW, hostname="app-1")
    assert api.url_for("one") == Destination.from_url(NEW)
    assert len(responses.calls) == 1
    assert partner.rotated == [("one", NEW)]


@responses.activate
def test_the_legacy_api_is_asked_with_the_password_of_the_manifest():
    """It is the same for all."""
    responses.get(APP_INFO, json={"id": "any", "log_input_url": NEW})
    partner = Partner(id="app1@heroku.com")
    assert app_info(partner).refresh("one", OLD) == Destination.from_url(NEW)
    (call,) = responses.calls
    expected = base64.b64encode(f"my-addon:{PASSWORD}".encode()).decode()
    assert call.request.headers["Authorization"] == f"Basic {expected}"
    assert call.request.headers["Accept"] == "application/json"
    assert partner.rotated == [("one", NEW)]


@responses.activate
@pytest.mark.parametrize(
    ("app_id", "attachments", "expected"),
    [
        (None, [attachment()], NEW),
        (None, [attachment(owner="elsewhere")], NEW),
        (None, [attachment(OLD, "app-2"), attachment()], NEW),
        ("app-2", [attachment(OLD), attachment(app="app-2")], NEW),
        # One app, attached twice.
        ("app-1", [attachment(None), attachment()], NEW),
        ("app-3", [attachment(), attachment(OLD, "app-2")], None),
        (None, [], None),
        (None, [attachment(None)], None),
        ("app-2", [attachment(), attachment(None, "app-2")], None),
        (None, [attachment(None), attachment(app="app-2")], None),
    ],
)
def test_the_app_of_the_stream_is_chosen_among_the_attachments(app_id, attachments, expected):
    """By its id, or else the one that the add-on was made for; a null URL takes no logs."""
    responses.get(ATTACHMENTS, json=attachments)
    found = platform(Partner(log_input_url=None, app_id=app_id)).url_for("one")
    assert (found and found.token) == (expected and Destination.from_url(expected).token)


@responses.activate
def test_which_of_several_apps_is_not_guessed():
    """A line in another customer's stream would be worse than one that waits."""
    both = [attachment(app="app-2", owner=""), attachment(OLD, app="app-3", owner="")]
    responses.get(ATTACHMENTS, json=both)
    error = refused(platform(Partner(log_input_url=None)).url_for, "one")
    assert "attached to 2 apps, and the record names no app_id" in str(error)


@responses.activate
def test_the_attachments_can_be_listed():
    """For a partner that makes a stream of each app; no secret is shown."""
    responses.get(ATTACHMENTS, json=[attachment(), attachment(None, "app-2")])
    api = platform(Partner())
    found = api.attachments("one")
    assert [(one.app_id, one.app_name, one.log_input_url, one.is_owner) for one in found] == [
        ("app-1", "name-of-app-1", NEW, True),
        ("app-2", "name-of-app-2", None, False),
    ]
    assert repr(found[0]) == "<Attachment name-of-app-1>"
    assert api.attachments("unknown") == ()
    responses.replace(responses.GET, ATTACHMENTS, status=404)
    assert api.attachments("one") == ()
    responses.replace(responses.GET, ATTACHMENTS, status=500)
    assert str(refused(api.attachments, "one")) == "addon-attachments: status 500"


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
    """There, what is not there may be yet to come."""
    responses.get(APP_INFO, **answer)
    partner = Partner(id="app1@heroku.com", log_input_url=None)
    assert problem in str(refused(app_info(partner).url_for, "one"))


@responses.activate
def test_what_is_not_there_any_more_has_ended(capsys, monkeypatch):
    """And so has what is null, as it is for an app of the Fir generation. Each is said once."""
    monkeypatch.setattr(diagnostics, "_PAUSE", 0.0)
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
    """As what is no session is."""

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


# Tokens.


@responses.activate
@pytest.mark.parametrize("new_refresh_token", [None, "refresh-1"])
def test_an_expired_token_is_refreshed_once_and_handed_back(new_refresh_token):
    """In the form's body; the old refresh token stays unless a new one comes."""
    responses.get(ATTACHMENTS, status=401)
    answer = {"access_token": "access-1", "expires_in": 28799, "session_nonce": None}
    if new_refresh_token:
        answer["refresh_token"] = new_refresh_token
    responses.post(TOKEN, json=answer)
    responses.get(ATTACHMENTS, json=[attachment()])
    partner = Partner()
    found = platform(partner).refresh("one", OLD)
    assert found
    assert found.token == "t.new-secret"
    asked, token, again = [call.request for call in responses.calls]
    assert token.url == TOKEN
    assert parse_qs(token.body) == {
        "grant_type": ["refresh_token"],
        "refresh_token": ["refresh-0"],
        "client_secret": [SECRET],
    }
    assert token.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert "Authorization" not in token.headers
    assert asked.headers["Authorization"] == "Bearer access-0"
    assert again.headers["Authorization"] == "Bearer access-1"
    expected = Tokens("access-1", new_refresh_token or "refresh-0", 28799)
    assert partner.renewed == [("one", expected)]
    assert repr(expected) == "<Tokens>"


@responses.activate
def test_a_new_token_that_is_refused_too_is_not_refreshed_again():
    """The next look-up may."""
    responses.get(ATTACHMENTS, status=401)
    responses.post(TOKEN, json={"access_token": "access-1"})
    assert str(refused(platform(Partner()).refresh, "one", OLD)).endswith("status 401")
    assert len(responses.calls) == 3


@responses.activate
def test_without_an_access_token_on_record_it_is_refreshed_first():
    """And without a refresh token either, that is what the error says."""
    responses.post(TOKEN, json={"access_token": "access-1"})
    responses.get(ATTACHMENTS, json=[attachment()])
    assert platform(Partner(access_token=None)).refresh("one", OLD)
    assert [call.request.method for call in responses.calls] == ["POST", "GET"]
    api = platform(Partner(access_token=None, refresh_token=None))
    assert "no refresh_token on record" in str(refused(api.refresh, "one", OLD))


@responses.activate
@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ({"status": 400, "json": {"id": "invalid_grant"}}, "oauth/token: status 400"),
        ({"json": {"access_token": ["secret"]}}, "the answer holds no access_token"),
        ({"json": ["secret"]}, "the answer holds no access_token"),
        ({"body": requests.ReadTimeout("secret")}, "id.heroku.com: ReadTimeout"),
    ],
)
def test_a_refresh_that_fails_is_a_failed_look_up(answer, problem):
    """No token is told of."""
    responses.get(ATTACHMENTS, status=401)
    responses.post(TOKEN, **answer)
    partner = Partner()
    assert problem in str(refused(platform(partner).refresh, "one", OLD))
    assert not partner.renewed


def test_another_process_may_have_refreshed_it():
    """A refresh token that was used up there is no failure if the new ones are on record."""
    with standing_in() as heroku:
        heroku.addons[UUID] = Addon({"app-1": NEW}, "access-9", "refresh-9")
        partner = Partner()
        reads = []

        def record(stream):
            reads.append(stream)
            if len(reads) > 2:
                return Partner(access_token="access-9", refresh_token="refresh-9").resource
            return partner.resource

        api = PlatformAPI(record, client_secret=SECRET, **at(heroku))
        found = api.refresh("one", OLD)
    assert found
    assert found.token == "t.new-secret"


@pytest.mark.parametrize("renews", [False, True])
def test_tokens_that_could_not_be_stored_are_used_all_the_same(renews, capsys):
    """For as long as the record holds the old ones; and the failure is told, not shown."""
    with standing_in() as heroku:
        heroku.renews_refresh_tokens = renews
        addon = heroku.addons[UUID] = Addon({"app-1": NEW}, "access-9")

        def fails(stream, tokens):
            raise RuntimeError(tokens.access_token)

        partner = Partner()
        api = platform(partner, on_tokens=fails, on_rotate=None, **at(heroku))
        assert api.refresh("one", OLD)
        assert api.refresh("one", OLD)
        assert len(heroku.forms) == 1
        addon.access_token = "access-expired"
        assert api.refresh("one", OLD)
        assert len(heroku.forms) == 2
        addon.access_token = "access-by-hand"
        partner.resource = replace(partner.resource, access_token=addon.access_token)
        assert api.refresh("one", OLD)
        assert len(heroku.forms) == 2
    said = capsys.readouterr().err
    assert said.count("on_tokens failed: RuntimeError") == 1
    assert "access-" not in said


def test_many_threads_refresh_one_token_once():
    """And one rotation is told of once, though two streams of it are asked for."""
    with standing_in() as heroku:
        heroku.renews_refresh_tokens = True
        heroku.addons[UUID] = Addon({"app-1": NEW}, "access-9")
        partner = Partner()
        api = platform(partner, **at(heroku))
        together = threading.Barrier(8)

        def look_up(number):
            together.wait(5)
            return api.refresh(number % 2, OLD)

        with ThreadPoolExecutor(8) as threads:
            found = list(threads.map(look_up, range(8)))
        assert {one and one.token for one in found} == {"t.new-secret"}
        assert len(heroku.forms) == len(partner.renewed) == len(partner.rotated) == 1
        assert len(heroku.looked_up) == 2


def test_a_callback_may_ask_again():
    """Of the same resource, too."""
    with standing_in() as heroku:
        heroku.addons[UUID] = Addon({"app-1": NEW})
        partner = Partner()
        listed = []
        api = platform(
            partner,
            on_rotate=lambda stream, _: listed.append(api.attachments(stream)),
            **at(heroku),
        )
        assert api.refresh("one", OLD)
    assert [one.app_id for one in listed[0]] == ["app-1"]


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_forked_during_a_look_up_looks_up_by_itself():
    """The lock that the parent held is not the child's."""
    with standing_in() as heroku:
        heroku.addons[UUID] = Addon({"app-1": NEW})
        api = platform(Partner(), **at(heroku))
        release = threading.Event()
        heroku.planned.append(release)
        thread = threading.Thread(target=api.refresh, args=("one", OLD))
        thread.start()
        assert wait_until(lambda: heroku.looked_up)
        pid = os.fork()
        if pid == 0:
            # If it waits for that lock, it is not to do so for ever.
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(10)
            os._exit(0 if api.refresh("one", OLD) else 1)
        _, status = os.waitpid(pid, 0)
        release.set()
        thread.join(5)
    assert status == 0


def test_a_code_is_exchanged_for_the_first_tokens():
    """Once; what Heroku refuses is an error that shows nothing."""
    with standing_in() as heroku:
        heroku.addons[UUID] = Addon({"app-1": NEW})
        api = platform(Partner(), **at(heroku))
        body = {"uuid": UUID, "oauth_grant": {"code": "the-grant's-code"}}
        tokens = api.exchange(Provision.from_json(body))
        assert (tokens.access_token, tokens.refresh_token) == ("access-1", "refresh-1")
        assert tokens.expires_in == 28799
        assert heroku.forms == [
            {
                "grant_type": "authorization_code",
                "code": "the-grant's-code",
                "client_secret": SECRET,
            }
        ]
        error = refused(api.exchange, "the-grant's-code")
        assert str(error) == "oauth/token: status 400"
        assert "no code" in str(refused(api.exchange, Provision.from_json({"uuid": UUID})))


def test_an_interrupt_shows_no_secret():
    """A signal's, in the depth of a request of the main thread."""

    class Interrupted(requests.Session):
        def send(self, request, **given):
            raise KeyboardInterrupt

    api = platform(Partner(), session_factory=Interrupted)
    for ask, arguments in ((api.exchange, ["the-grant's-code"]), (api.refresh, ["one", OLD])):
        with pytest.raises(KeyboardInterrupt) as caught:
            ask(*arguments)
        check_hidden(caught.value)


# What the partner gets to store.


@responses.activate
def test_a_url_that_has_not_changed_is_told_to_nobody():
    """The handler is given it again."""
    responses.get(ATTACHMENTS, json=[attachment(OLD)])
    for recorded in (OLD, None):
        partner = Partner(log_input_url=recorded)
        found = platform(partner).refresh("one", OLD)
        assert found
        assert found.token == "t.old-secret"
        assert not partner.rotated


@responses.activate
def test_a_record_that_has_changed_meanwhile_is_believed():
    """Another process has been told of it."""
    partner = Partner(log_input_url=NEW)
    found = platform(partner).refresh("one", Destination.from_url(OLD, hostname="app-1"))
    assert found == Destination.from_url(NEW)
    assert not responses.calls
    assert not partner.rotated


@responses.activate
def test_a_record_that_could_not_be_updated_is_believed_no_more(capsys):
    """What it holds is outdated; it is told again at the next occasion."""
    responses.get(ATTACHMENTS, json=[attachment()])
    partner = Partner()
    works = False

    def on_rotate(stream, url):
        if not works:
            raise OSError(url)
        partner.on_rotate(stream, url)

    api = platform(partner, on_rotate=on_rotate)
    found = api.refresh("one", OLD)
    assert found
    assert found.token == "t.new-secret"
    said = capsys.readouterr().err
    assert "stream 'one': on_rotate failed: OSError" in said
    assert "t.new" not in said
    found = api.url_for("one")
    assert found
    assert found.token == "t.new-secret"
    works = True
    # Now that is refused as well, as a whole host may be for a while.
    assert api.refresh("one", found) == found
    assert partner.rotated == [("one", NEW)]
    assert api.url_for("one") == Destination.from_url(NEW)
    assert len(responses.calls) == 3
    # And if it comes back to what it was, that is good again.
    partner.resource = replace(partner.resource, log_input_url=OLD)
    assert api.url_for("one") == Destination.from_url(OLD)
    assert len(responses.calls) == 3


# With a handler.


@pytest.mark.parametrize("make", [platform, app_info])
def test_a_rotation_in_the_middle_of_a_flow_loses_nothing(make):
    """The partner's record is updated once, and the access token had expired as well."""
    with standing_in() as heroku, LogplexReceiver(tokens=["t.0123-old", "t.other"]) as logplex:
        known = {"id": UUID, "log_input_url": logplex.url_for("t.0123-old"), "app_id": "app-1"}
        partner = Partner(**known)
        addon = heroku.addons[UUID] = Addon({"app-1": logplex.url_for("t.0123-old")})
        options = at(heroku) if make is platform else {"api_url": heroku.url}
        api = make(partner, **options)
        with logging_to(logplex.url_for("t.other"), streams=api, flush_interval=0.02) as (
            logger,
            handler,
        ):
            for number in range(200):
                if number == 100:
                    assert wait_until(lambda: logplex.lines)
                    addon.urls["app-1"] = logplex.url_for("t.0123-new")
                    addon.access_token = "access-9"
                    logplex.tokens = ("t.0123-new", "t.other")
                logger.info("line %d", number, extra={"logplex_stream": "one"})
                logger.info("line %d", number)
                time.sleep(0.001)
            assert handler.flush()
            stats = handler.stats()
            assert handler.set_aside() == ()
        assert len(heroku.forms) == len(partner.renewed) == (make is platform)
        lines = {
            own: [line for line in logplex.lines if (line.token == "t.other") is own]
            for own in (True, False)
        }
    expected = [f"line {number}" for number in range(200)]
    assert [line.text for line in lines[True]] == [line.text for line in lines[False]] == expected
    assert {line.packet.hostname for line in lines[False]} == {"app-1"}
    assert {line.token for line in lines[False]} == {"t.0123-old", "t.0123-new"}
    assert partner.rotated == [("one", logplex.url_for("t.0123-new"))]
    assert len(heroku.looked_up) == 1 + (make is platform)
    assert (stats.delivered, stats.dropped) == (400, {})
    assert balanced(stats)
    assert not logplex.violations


def test_the_handler_asks_no_earlier_than_heroku_wants(monkeypatch, short_waits):
    """The lines wait, and are delivered then."""
    with standing_in() as heroku, LogplexReceiver(tokens=["t.0123-new"]) as logplex:
        heroku.addons[UUID] = Addon({"app-1": logplex.url})
        heroku.planned.append((429, {"Retry-After": "1"}))
        api = platform(Partner(log_input_url=None), **at(heroku))
        with logging_to(None, streams=api) as (logger, handler):
            logger.info("line", extra={"logplex_stream": "one"})
            assert wait_until(handler.set_aside)
            asked = time.monotonic()
            (aside,) = handler.set_aside()
            assert aside.reason == "look-up failed: addon-attachments: status 429"
            assert logplex.wait_for(1)
            assert time.monotonic() - asked > 0.8
        assert len(heroku.looked_up) == 2


@pytest.mark.parametrize("asked", ["soon", float("nan"), -5, None])
def test_a_look_up_may_ask_for_patience_in_any_terms(asked, short_waits, capsys):
    """What makes no sense is left alone; its words are shown, on one line."""
    calls = []
    with LogplexReceiver() as logplex:

        def url_for(stream):
            calls.append(stream)
            if len(calls) == 1:
                raise LookupFailed("the\nrecord is locked", retry_after=asked)
            return logplex.url

        with logging_to(None, streams=url_for) as (logger, _):
            logger.info("line", extra={"logplex_stream": "one"})
            assert logplex.wait_for(1)
    problem = "LookupFailed" if asked == "soon" else "the\\nrecord is locked"
    said = capsys.readouterr().err
    assert said == f"logplex_handler: stream 'one': look-up failed: {problem}\n"


def test_an_app_that_takes_no_logs_any_more_ends_its_stream(monkeypatch, capsys):
    """It has moved to Fir: its lines are counted, and that is said once."""
    monkeypatch.setattr(resolution, "_BETWEEN_LOOKUPS", 0.0)
    with standing_in() as heroku, LogplexReceiver(tokens=["t.0123-other"]) as logplex:
        heroku.addons[UUID] = Addon({"app-1": None})
        partner = Partner(log_input_url=logplex.url_for("t.0123-old"))
        with logging_to(None, streams=platform(partner, **at(heroku))) as (logger, handler):
            for _ in range(3):
                logger.info("line", extra={"logplex_stream": "one"})
            assert handler.flush()
            logger.info("late", extra={"logplex_stream": "one"})
            assert handler.stats().dropped == {"stream_gone": 4}
    assert capsys.readouterr().err.count("log_input_url is null") == 1
    assert not partner.rotated


def test_an_api_that_trickles_is_given_up():
    """After four times the time-out, however slowly it answers."""

    def trickle(connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while not server.stopped.wait(0.05):
            connection.sendall(b"[")

    with serving(trickle) as server:
        url = f"http://127.0.0.1:{server.port}"
        api = platform(Partner(), timeout=0.2, api_url=url)
        began = time.monotonic()
        error = refused(api.refresh, "one", OLD)
        assert time.monotonic() - began < 5
    assert str(error).startswith("127.0.0.1: ")


def prepared_requests():
    return [one for one in gc.get_objects() if isinstance(one, requests.PreparedRequest)]


def test_a_failed_request_leaves_nothing_in_memory():
    """It would wait there, with its credentials, for a garbage collection."""
    with serving(hang_up) as server:
        api = platform(Partner(), api_url=f"http://127.0.0.1:{server.port}")
        gc.collect()
        gc.disable()
        try:
            before = prepared_requests()
            refused(api.refresh, "one", OLD)
            left = [one for one in prepared_requests() if all(one is not old for old in before)]
        finally:
            gc.enable()
    assert not any("Authorization" in one.headers for one in left)


def test_a_stand_in_on_this_machine_is_asked_directly(monkeypatch):
    """The environment's proxy stands elsewhere."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    with standing_in() as heroku:
        heroku.addons[UUID] = Addon({"app-1": NEW})
        assert platform(Partner(), **at(heroku)).refresh("one", OLD)


def test_what_the_libraries_log_of_a_look_up_is_not_delivered():
    """Nobody's stream is the place for it."""
    library = logging.getLogger("urllib3")
    with standing_in() as heroku, LogplexReceiver() as logplex:
        heroku.addons[UUID] = Addon({"app-1": logplex.url})
        api = platform(Partner(log_input_url=None), **at(heroku))
        with logging_to(logplex.url, streams=api) as (logger, handler):
            level = library.level
            library.setLevel(logging.DEBUG)
            library.addHandler(handler)
            try:
                logger.info("line", extra={"logplex_stream": "one"})
                assert handler.flush()
            finally:
                library.removeHandler(handler)
                library.setLevel(level)
            assert handler.stats().accepted == 1
    assert [line.text for line in logplex.lines] == ["line"]


# Options.


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("client_secret", ""),
        ("client_secret", ["secret"]),
        ("record", "secret"),
        ("on_tokens", "secret"),
        ("on_rotate", "secret"),
        ("timeout", 0),
        ("timeout", "secret"),
        ("session_factory", "secret"),
        ("api_url", "http://api.heroku.com"),
        ("api_url", "https://me:secret@api.heroku.com"),
        ("api_url", "https://api.heroku.com?secret"),
        ("id_url", "https://[secret"),
        ("id_url", None),
    ],
)
def test_a_bad_option_is_an_error_that_names_it(option, value):
    """And shows nothing secret, nor the record's."""
    given = {"record": Partner(), "client_secret": SECRET} | {option: value}
    with pytest.raises(ConfigurationError, match=f"^{option}: ") as caught:
        PlatformAPI(**given)
    assert SECRET not in str(caught.value)
    frames = [frame for frame, _ in traceback.walk_tb(caught.value.__traceback__)]
    for frame in frames[1:]:
        assert SECRET not in repr(frame.f_locals)


@pytest.mark.parametrize(
    ("option", "value"), [("user", "a:b"), ("user", 5), ("password", ""), ("password", 5)]
)
def test_so_it_is_with_the_legacy_api_s(option, value):
    """The password is not shown."""
    given = {"user": "me", "password": PASSWORD} | {option: value}
    with pytest.raises(ConfigurationError, match=f"^{option}: ") as caught:
        AppInfoAPI(Partner(), **given)
    frames = [frame for frame, _ in traceback.walk_tb(caught.value.__traceback__)]
    assert all(PASSWORD not in repr(frame.f_locals) for frame in frames[1:])


@pytest.mark.parametrize(
    "given",
    [{"id": ".."}, {"id": "a/b"}, {"id": 5}, {"id": UUID, "access_token": b"secret"}],
)
def test_a_resource_is_made_of_strings(given):
    """Its id stands in the path of a request."""
    with pytest.raises(ConfigurationError, match=r"^(id|access_token): must be") as caught:
        Resource(**given)
    assert "secret" not in str(caught.value)


def test_nothing_shows_a_secret():
    """Not the APIs, nor what they hold."""
    body = {"uuid": UUID, "log_input_url": OLD, "oauth_grant": {"code": "the-grant's-code"}}
    things = [platform(Partner()), app_info(Partner()), Partner().resource]
    things += [Provision.from_json(body)]
    shown = " ".join([repr(thing) for thing in things])
    for thing in things[:2]:
        shown += repr(vars(thing))
    assert "PlatformAPI" in shown
    assert not any(secret in shown for secret in SECRETS)
