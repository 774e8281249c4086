"""Heroku's partner APIs: they find the URL of a customer's stream for the handler's `streams`.

Comes in: the id of a stream.
Goes out: its destination.
Must not know: handlers.

- `_platform`, `_app_info`: the two APIs.
- `_look_up`: what both have in common, such as the partner's record.
- `_provision`: the request with which Heroku adds an add-on to an app.
- `_http`: requests to Heroku.
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
