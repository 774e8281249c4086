"""A partner that stores resources, and the APIs that look up its streams' URLs."""

from dataclasses import replace

import pytest

from logplex_handler import LookupFailed
from logplex_handler.heroku import AppInfoAPI, PlatformAPI, Resource, Tokens
from tests.heroku.stand_in import (
    NEW,
    OLD,
    PASSWORD,
    SECRET,
    UUID,
    check_hidden,
)

ATTACHMENTS = f"https://api.heroku.com/addons/{UUID}/addon-attachments"
TOKEN = "https://id.heroku.com/oauth/token"
APP_INFO = "https://api.heroku.com/vendor/apps/app1@heroku.com"


class Partner:
    """A partner's record of one resource, and the changes it was asked to store."""

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
    given = {"on_tokens": partner.on_tokens, "on_rotate": partner.on_rotate, "allow_private": True}
    return PlatformAPI(partner, client_secret=SECRET, **(given | options))


def app_info(partner, **options):
    given = {"on_rotate": partner.on_rotate, "allow_private": True}
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
