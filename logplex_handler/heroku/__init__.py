"""Heroku's partner APIs: where a customer's stream goes, for the handler's option `streams`."""

from logplex_handler.heroku._app_info import AppInfoAPI
from logplex_handler.heroku._oauth import Tokens
from logplex_handler.heroku._platform import Attachment, PlatformAPI
from logplex_handler.heroku._provision import Provision
from logplex_handler.heroku._record import Resource

__all__ = [
    "AppInfoAPI",
    "Attachment",
    "PlatformAPI",
    "Provision",
    "Resource",
    "Tokens",
]
