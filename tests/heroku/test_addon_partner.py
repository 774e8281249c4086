"""The example's provision endpoint, called as Heroku calls it."""

import pytest

from logplex_handler.heroku import PlatformAPI
from tests.heroku.stand_in import SECRET, UUID, Addon, standing_in

URL = "https://token:t.01234567@1.us.logplex.io/logs"


@pytest.fixture
def heroku():
    with standing_in() as heroku:
        heroku.addons[UUID] = Addon({"app-1": URL})
        yield heroku


@pytest.fixture
def record(example, tmp_path):
    return example.Record(tmp_path / "customers.sqlite")


@pytest.fixture
def client(example, record, heroku):
    api = PlatformAPI(record.resource, client_secret=SECRET, api_url=heroku.url, id_url=heroku.url)
    return example.partner_app(record, api).test_client()


def provision(client, auth, **change):
    grant = {"code": "the-grant's-code"}
    body = {"uuid": UUID, "plan": "basic", "log_input_url": URL, "oauth_grant": grant}
    return client.post("/heroku/resources", json=body | change, auth=auth)


@pytest.mark.parametrize("auth", [None, ("my-addon", "wrong"), ("wrong", "a-password"), ("", "")])
def test_only_heroku_is_let_in(client, record, auth):
    """A request from elsewhere stores nothing."""
    assert provision(client, auth).status_code == 401
    assert record.resource(UUID) is None


def test_the_same_request_twice_is_one_customer(client, record, heroku):
    """The code is exchanged once, and both answers are the same."""
    answers = [provision(client, ("my-addon", "a-password")) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json == answers[1].json == {"id": UUID}
    assert len(heroku.forms) == 1
    resource = record.resource(UUID)
    assert (resource.log_input_url, resource.refresh_token) == (URL, "refresh-1")


def test_an_exchange_that_fails_is_made_up_for_when_heroku_asks_again(client, record, heroku):
    """The endpoint asks it to."""
    heroku.planned.append((503, {}))
    assert provision(client, ("my-addon", "a-password")).status_code == 503
    assert provision(client, ("my-addon", "a-password")).status_code == 200
    assert record.resource(UUID).access_token == "access-1"


def test_a_plan_changes(client, record):
    """As often as Heroku asks; the stream stays the same."""
    auth = ("my-addon", "a-password")
    provision(client, auth)
    for _ in range(2):
        answer = client.put(f"/heroku/resources/{UUID}", json={"plan": "premium"}, auth=auth)
        assert answer.status_code == 200
    assert record.resource(UUID).log_input_url == URL


def test_a_customer_is_removed(client, record):
    """A repeated request says that it is gone, and the look-ups find no stream."""
    auth = ("my-addon", "a-password")
    provision(client, auth)
    assert client.delete(f"/heroku/resources/{UUID}").status_code == 401
    answers = [client.delete(f"/heroku/resources/{UUID}", auth=auth) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [204, 410]
    assert client.put(f"/heroku/resources/{UUID}", json={"plan": "x"}, auth=auth).status_code == 410
    assert record.resource(UUID) is None
    assert record.customers() == []


def test_a_request_that_cannot_be_used_is_refused_by_name(client, record):
    """The error does not show the value."""
    answer = provision(client, ("my-addon", "a-password"), log_input_url="t.01234567")
    assert answer.status_code == 422
    assert answer.json["message"].startswith("log_input_url: ")
    assert "t.01234567" not in answer.text
    assert record.resource(UUID) is None
