"""Heroku's partner APIs: they find the URL of a customer's stream for the handler's `streams`.

A stream's id comes in, its destination goes out. Knows no handler.
"""

from logplex_handler.heroku._app_info import AppInfoAPI
from logplex_handler.heroku._oauth import Tokens
from logplex_handler.heroku._platform import Attachment, PlatformAPI
from logplex_handler.heroku._provision import Provision
from logplex_handler.heroku._resource import Resource

__all__ = [
    "AppInfoAPI",
    "Attachment",
    "PlatformAPI",
    "Provision",
    "Resource",
    "Tokens",
]
