"""OAuth tokens: refreshed once, handed to the partner, exchanged for a code."""

import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from urllib.parse import parse_qs

import pytest
import requests
import responses

from logplex_handler.heroku import PlatformAPI, Provision, Tokens
from tests.heroku.shared import ATTACHMENTS, TOKEN, Partner, at, attachment, platform, refused
from tests.heroku.stand_in import (
    NEW,
    OLD,
    SECRET,
    UUID,
    Addon,
    check_hidden,
    standing_in,
)
from tests.logs import wait_until

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
    """Without a refresh token either, the error says so."""
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
        ({"json": {"access_token": "secret\r\n X: y"}}, "the answer holds no access_token"),
        ({"json": {"access_token": "secret \u20ac"}}, "the answer holds no access_token"),
        ({"json": {"access_token": "s" * 4097}}, "the answer holds no access_token"),
        ({"body": requests.ReadTimeout("secret")}, "id.heroku.com: ReadTimeout"),
    ],
)
def test_a_refresh_that_fails_is_a_failed_look_up(answer, problem):
    """The partner is given no token."""
    responses.get(ATTACHMENTS, status=401)
    responses.post(TOKEN, **answer)
    partner = Partner()
    assert problem in str(refused(platform(partner).refresh, "one", OLD))
    assert not partner.renewed


@responses.activate
@pytest.mark.parametrize("expires_in", ["NaN", "1e999", "-1", "true", '"1"', "[1]"])
def test_what_makes_no_sense_beside_a_token_is_left_out(expires_in):
    """The refresh token that is on record stays."""
    responses.get(ATTACHMENTS, status=401)
    body = f'{{"access_token": "a", "refresh_token": "\\n", "expires_in": {expires_in}}}'
    responses.post(TOKEN, body=body)
    responses.get(ATTACHMENTS, json=[attachment()])
    partner = Partner()
    assert platform(partner).refresh("one", OLD)
    [(_, tokens)] = partner.renewed
    assert (tokens.access_token, tokens.refresh_token) == ("a", "refresh-0")
    assert tokens.expires_in is None


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
    """For as long as the record holds the old ones; the failure is reported without its text."""
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
    """One rotation is reported once, although two of its streams are looked up."""
    with standing_in() as heroku:
        heroku.renews_refresh_tokens = True
        heroku.addons[UUID] = Addon({"app-1": NEW}, "access-9")
        partner = Partner()
        api = platform(partner, **at(heroku))
        together = threading.Barrier(8)

        def look_up(number):
            together.wait(100)
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
            signal.alarm(100)
            os._exit(0 if api.refresh("one", OLD) else 1)
        _, status = os.waitpid(pid, 0)
        release.set()
        thread.join(100)
    assert status == 0


def test_a_code_is_exchanged_for_the_first_tokens():
    """Once; a refused code raises an error that shows no secret."""
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
