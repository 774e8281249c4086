"""Options of the two APIs: errors name them, and nothing shows a secret."""

import traceback

import pytest

from logplex_handler import ConfigurationError
from logplex_handler.heroku import AppInfoAPI, PlatformAPI, Provision, Resource
from tests.heroku.shared import Partner, app_info, platform
from tests.heroku.stand_in import (
    OLD,
    PASSWORD,
    SECRET,
    SECRETS,
    UUID,
)

# Options.


async def coroutine(stream, url):
    """Nobody awaits what it returns."""


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
        ("timeout", True),
        ("timeout", 86_401),
        ("allow_private", "secret"),
        ("on_rotate", coroutine),
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
    """Neither the APIs nor their attributes."""
    body = {"uuid": UUID, "log_input_url": OLD, "oauth_grant": {"code": "the-grant's-code"}}
    things = [platform(Partner()), app_info(Partner()), Partner().resource]
    things += [Provision.from_json(body)]
    shown = " ".join([repr(thing) for thing in things])
    for thing in things[:2]:
        shown += repr(vars(thing))
    assert "PlatformAPI" in shown
    assert not any(secret in shown for secret in SECRETS)
