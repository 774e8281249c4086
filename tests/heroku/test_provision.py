"""The request that Heroku sends when a customer adds the add-on."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logplex_handler import ConfigurationError
from logplex_handler.heroku import Provision
from logplex_handler.streams import Destination
from logplex_handler.testing import LogplexReceiver
from tests.heroku.stand_in import OLD, UUID, check_hidden
from tests.logs import logging_to

V3 = {
    "callback_url": f"https://api.heroku.com/addons/{UUID}",
    "name": "acme-inc-primary-database",
    "oauth_grant": {
        "code": "the-grant's-code",
        "expires_at": "2016-03-03T18:01:31-0800",
        "type": "authorization_code",
    },
    "options": {"size": "large"},
    "plan": "basic",
    "region": "amazon-web-services::us-east-1",
    "uuid": UUID,
    "log_input_url": OLD,
    "log_drain_token": "d.secret",
}


@pytest.mark.parametrize("form", [dict, json.dumps, lambda body: json.dumps(body).encode()])
def test_a_provision_request_gives_the_destination(form):
    """Of the third version; unknown fields are ignored."""
    found = Provision.from_json(form(V3 | {"something": ["new"]}))
    assert found.destination == Destination.from_url(OLD)
    assert (found.id, found.log_input_url, found.grant_code) == (UUID, OLD, "the-grant's-code")
    assert (found.plan, found.name) == ("basic", "acme-inc-primary-database")
    assert (found.region, found.options) == ("amazon-web-services::us-east-1", {"size": "large"})


def test_a_legacy_request_gives_it_with_the_app_as_hostname():
    """Its `logplex_token` is of no use any more."""
    body = {"heroku_id": "app1@heroku.com", "logplex_token": "t.secret", "plan": "basic"}
    assert Provision.from_json(body).destination is None
    found = Provision.from_json(body | {"log_input_url": OLD})
    assert found.destination == Destination.from_url(OLD, hostname="app1-heroku.com")
    assert (found.id, found.grant_code) == ("app1@heroku.com", None)


@pytest.mark.parametrize(
    "change",
    [
        {"log_input_url": None},
        {"oauth_grant": None, "options": None, "plan": None},
        {"oauth_grant": {}},
    ],
)
def test_what_is_null_is_not_there(change):
    """As the URL of an app that takes no logs."""
    assert Provision.from_json(V3 | change).id == UUID


BAD = [
    ("body", b"\xff"),
    ("body", "[" * 100_000),
    ("body", "9" * 10_000),
    ("body", "[]"),
    ("body", None),
    ("uuid", V3 | {"uuid": "../secret"}),
    ("uuid", V3 | {"uuid": ["secret"]}),
    ("uuid", {}),
    ("heroku_id", {"heroku_id": 5}),
    ("heroku_id", {"uuid": None, "heroku_id": "a b"}),
    ("oauth_grant", V3 | {"oauth_grant": "secret"}),
    ("oauth_grant.code", V3 | {"oauth_grant": {"code": ["secret"]}}),
    ("oauth_grant.code", V3 | {"oauth_grant": {"code": "secret\n"}}),
    ("options", V3 | {"options": ["secret"]}),
    ("plan", V3 | {"plan": 5}),
    ("name", V3 | {"name": "\ud800"}),
    ("region", V3 | {"region": "secret" * 1000}),
    ("log_input_url", V3 | {"log_input_url": 5}),
    ("log_input_url", V3 | {"log_input_url": "t.secret"}),
    ("log_input_url", V3 | {"log_input_url": "http://token:t.secret@logplex.example/logs"}),
]


@pytest.mark.parametrize(("field", "body"), BAD, ids=[str(n) for n in range(len(BAD))])
def test_a_hostile_request_is_an_error_that_names_the_field(field, body):
    """The error does not show the value."""
    with pytest.raises(ConfigurationError) as caught:
        Provision.from_json(body)
    assert str(caught.value).startswith(f"{field}: ")
    check_hidden(caught.value)


_ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
_FIELDS = st.sampled_from([*V3, "heroku_id", "logplex_token"])


@given(
    change=st.dictionaries(_FIELDS, _ANYTHING),
    missing=st.sets(_FIELDS),
    more=st.dictionaries(st.text(), _ANYTHING, max_size=3),
)
def test_any_request_is_taken_or_refused_by_name(change, missing, more):
    """Never another exception; an accepted request has an id and can be stored."""
    body = {name: value for name, value in (more | V3 | change).items() if name not in missing}
    try:
        found = Provision.from_json(json.dumps(body))
    except ConfigurationError as error:
        problem = str(error)
    else:
        problem = ""
    if problem:
        assert problem.partition(":")[0] in {*V3, "heroku_id", "oauth_grant.code"}
        return
    texts = (found.id, found.plan, found.name, found.region, found.log_input_url or "")
    assert all(text.encode() is not None and text.isprintable() for text in texts)
    assert found.id in (body.get("uuid"), body.get("heroku_id"))
    assert (found.destination is None) == (body.get("log_input_url") is None)


@given(st.binary() | st.text() | _ANYTHING)
def test_any_body_is_taken_or_refused(body):
    """Whatever came."""
    with pytest.raises(ConfigurationError, match=r"^(body|uuid): "):
        Provision.from_json(body)


def test_what_a_provision_request_brings_can_be_logged_to():
    """At once, before anything is on record."""
    with LogplexReceiver(tokens=["t.0123-first"]) as logplex:
        body = {"heroku_id": "app1@heroku.com", "log_input_url": logplex.url}
        found = Provision.from_json(body, allow_private=True)
        assert found.destination is not None
        with logging_to(None, streams={found.id: found.destination}) as (logger, handler):
            logger.info("welcome", extra={"logplex_stream": found.id})
            assert handler.flush()
    assert [line.packet.hostname for line in logplex.lines] == ["app1-heroku.com"]
