"""A handler whose `filter` or `emit` is overridden has every record go through it."""

from __future__ import annotations

import copy
import logging
import sys

import pytest

from logplex_handler import LogplexHandler
from logplex_handler.testing import LogplexReceiver
from tests.logs import own_logger


def redacted(record):
    record = copy.copy(record)
    record.args = ("***",)
    return record


def sent(handler_class, change=lambda handler: None):
    """The texts of records with a secret, more of them than it takes until a line is compiled."""
    with LogplexReceiver() as receiver, own_logger() as logger:
        handler = handler_class(receiver.url)
        logger.addHandler(handler)
        change(handler)
        for _ in range(60):
            logger.info("password is %s", "s3cret")
        assert handler.flush(100)
        handler.close()
        return [line.text.split("msg=")[1] for line in receiver.lines]


def test_of_a_subclass():
    """Nothing that it does not let pass is sent."""

    class Filtering(LogplexHandler):
        def filter(self, record):
            return False

    assert sent(Filtering) == []


def test_of_an_instance():
    def change(handler):
        handler.filter = lambda record: False

    assert sent(LogplexHandler, change) == []


@pytest.mark.skipif(sys.version_info < (3, 12), reason="filters replace records from 3.12 on")
def test_that_replaces_the_record():
    class Mixin:
        def filter(self, record):
            return redacted(record)

    class Filtering(Mixin, LogplexHandler):
        pass

    assert sent(Filtering) == ['"password is ***"'] * 60


@pytest.mark.parametrize("is_class", [True, False], ids=["a class", "an instance"])
def test_emit(is_class):
    """Also of an instance whose class changes."""

    class Redacting(LogplexHandler):
        def emit(self, record):
            super().emit(redacted(record))

    def change(handler):
        if is_class:
            handler.__class__ = Redacting
        else:
            emit = handler.emit
            handler.emit = lambda record: emit(redacted(record))

    assert sent(LogplexHandler, change) == ['"password is ***"'] * 60


def test_a_level_of_a_program_s_own_class_is_a_number_from_then_on():
    """A worker runs no code of it."""

    class Level(int):
        def __ge__(self, other):
            raise KeyboardInterrupt

    with LogplexReceiver() as receiver:
        handler = LogplexHandler(receiver.url)
        record = logging.LogRecord("shop", logging.INFO, "", 0, "hello", (), None)
        record.levelno = Level(logging.INFO)
        for _ in range(60):
            handler.handle(record)
        assert handler.flush(100)
        handler.close()
        assert [line.text for line in receiver.lines] == ["level=info logger=shop msg=hello"] * 60
