"""Fixtures of the configuration's tests; two of them apply to every test."""

from __future__ import annotations

import contextlib
import copy
import logging

import pytest

from logplex_handler import LogplexHandler
from logplex_handler.testing import LogplexReceiver
from tests.configuration.shared import VARIABLES


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch):
    """None of the variables is set."""
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)


def loggers():
    root = logging.getLogger()
    known = root.manager.loggerDict.values()
    return [root, *(logger for logger in known if isinstance(logger, logging.Logger))]


@pytest.fixture(autouse=True)
def _same_logging():
    """Whatever a test configures, all loggers are as before afterwards."""
    attributes = ("level", "disabled", "propagate", "handlers", "filters")
    unset = dict(zip(attributes, (logging.NOTSET, False, True, [], []), strict=True))
    before = {
        logger: {name: copy.copy(vars(logger)[name]) for name in attributes} for logger in loggers()
    }
    yield
    for logger in loggers():
        vars(logger).update(before.get(logger, unset))
        # Forgets which levels are enabled.
        logger.setLevel(logger.level)


@pytest.fixture
def logplex():
    """A receiver, and at the end no handler of a configuration that would send to it."""
    with LogplexReceiver() as receiver:
        yield receiver
        for logger in loggers():
            for handler in logger.handlers:
                if isinstance(handler, LogplexHandler):
                    handler.close()


@pytest.fixture
def make():
    """Makes a handler that is closed at the end."""
    with contextlib.ExitStack() as stack:

        def made(*args, **options):
            handler = LogplexHandler(*args, **{"flush_interval": 0.01} | options)
            stack.callback(handler.close)
            return handler

        yield made
