"""Handlers on the root logger, and application code that fails or stands in for ours."""

import itertools
import logging
from contextlib import contextmanager

import requests

from tests.logs import own_stream


@contextmanager
def at_the_root(*handlers):
    """The handlers get what every logger logs, from DEBUG on."""
    root = logging.getLogger()
    level = root.level
    for handler in handlers:
        root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        root.setLevel(level)
        for handler in handlers:
            root.removeHandler(handler)


def failing_once(error):
    """A `session_factory` whose first call raises the error."""
    calls = itertools.count()

    def factory():
        if not next(calls):
            raise error
        return requests.Session()

    return factory


def before_rendering(monkeypatch, handler, hook):
    """Call the hook with each entry of the handler's stream just before it is rendered.

    What the hook returns, if anything, is what the entry becomes.
    """
    codec = own_stream(handler).source._codec
    real = codec.render

    def render(entries, destination):
        for entry in entries:
            instead = hook(entry)
            yield from real([entry], destination) if instead is None else instead

    monkeypatch.setattr(codec, "render", render)
