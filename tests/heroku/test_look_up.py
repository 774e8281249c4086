"""Which URL a look-up returns, with either API."""

import base64
import threading

import pytest
import responses

from logplex_handler.heroku import PlatformAPI, _look_up
from logplex_handler.streams import Destination
from tests.heroku.shared import (
    APP_INFO,
    ATTACHMENTS,
    Partner,
    app_info,
    attachment,
    platform,
    refused,
)
from tests.heroku.stand_in import (
    NEW,
    OLD,
    PASSWORD,
    SECRET,
)

# One look-up.


@responses.activate
def test_a_url_on_record_is_used_without_a_request():
    """With the app's id as hostname."""
    found = platform(Partner(app_id="App_1")).url_for("one")
    assert found == Destination.from_url(OLD, hostname="app-1")
    assert not responses.calls


@responses.activate
def test_a_stream_that_is_not_on_record_is_unknown():
    """No request is made."""
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
    """By its id, or else the app that the add-on was created for; a null URL takes no logs."""
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


def test_a_signal_in_the_middle_of_a_look_up_may_look_up():
    """Its handler may flush where no thread can be started, for example."""
    locks, found = _look_up._ResourceLocks(), []

    class Interrupted(str):
        __slots__ = ()

        def __hash__(self):
            if not found:
                found.append(None)
                found.append(locks.of("other"))
            return hash(str(self))

    thread = threading.Thread(target=lambda: locks.of(Interrupted("one")), daemon=True)
    thread.start()
    thread.join(100)
    assert not thread.is_alive()
    assert len(found) == 2
