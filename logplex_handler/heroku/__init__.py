"""Heroku's partner APIs: they find the URL of a customer's stream for the handler's `streams`.

A stream's id comes in, its destination goes out. Knows no handler.
"""

from logplex_handler.heroku._app_info import AppInfoAPI
from logplex_handler.heroku._look_up import Resource
from logplex_handler.heroku._platform import Attachment, PlatformAPI, Tokens
from logplex_handler.heroku._provision import Provision

__all__ = [
    "AppInfoAPI",
    "Attachment",
    "PlatformAPI",
    "Provision",
    "Resource",
    "Tokens",
]
