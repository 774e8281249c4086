"""A handler whose `format` is overridden sends what that returns."""

from __future__ import annotations

import logging

import pytest

from logplex_handler import KeyValueFormatter, LogplexHandler
from logplex_handler.testing import LogplexReceiver
from tests.logs import own_logger


class Redacting(LogplexHandler):
    """As applications do it."""

    def format(self, record):
        return super().format(record).replace("s3cret", "***")


def sent(handler_of, times=60, **given):
    """The texts of records with a secret."""
    with LogplexReceiver() as receiver, own_logger() as logger:
        handler = handler_of(receiver.url)
        logger.addHandler(handler)
        for _ in range(times):
            logger.info("password is %s", "s3cret", **given)
        assert handler.flush(100)
        assert handler.stats().delivered == times
        handler.close()
        return [line.text.replace(logger.name, "shop") for line in receiver.lines]


def test_of_a_subclass():
    """Also for records that are logged again and again."""
    assert sent(Redacting) == ['level=info logger=shop msg="password is ***"'] * 60


def test_of_a_subclass_whose_handler_has_another_formatter_or_none():
    """Without one, the line is that of KeyValueFormatter."""

    def plain(url):
        handler = Redacting(url)
        handler.setFormatter(logging.Formatter("<%(message)s>"))
        return handler

    def none(url):
        handler = Redacting(url)
        handler.setFormatter(None)
        return handler

    assert sent(plain) == ["<password is ***>"] * 60
    assert sent(none) == ['level=info logger=shop msg="password is ***"'] * 60


@pytest.mark.parametrize("is_compiled", [False, True])
def test_of_an_instance(is_compiled):
    """From the moment it is set."""

    def handler_of(url):
        handler = LogplexHandler(url)
        if is_compiled:
            logger = logging.getLogger("own_format.before")
            logger.propagate = False
            logger.setLevel(logging.INFO)
            logger.addHandler(handler)
            for _ in range(60):
                logger.info("password is %s", "s3cret")
            logger.removeHandler(handler)
        handler.format = lambda record: f"redacted {record.name}"
        return handler

    with LogplexReceiver() as receiver, own_logger() as logger:
        handler = handler_of(receiver.url)
        logger.addHandler(handler)
        for _ in range(60):
            logger.info("password is %s", "s3cret")
        assert handler.flush(100)
        assert [line.text for line in receiver.lines][-60:] == [f"redacted {logger.name}"] * 60
        del handler.format
        logger.info("bye")
        assert handler.flush(100)
        assert receiver.lines[-1].text == f"level=info logger={logger.name} msg=bye"
        handler.close()


@pytest.mark.parametrize("error", [AttributeError, SystemExit])
def test_of_a_formatter_that_fails_for_what_the_application_has_not_logged(
    error, capsys, monkeypatch
):
    """The handler's own lines lack what a filter adds. They must not hold up the others."""

    def format_with_request(record):
        if not hasattr(record, "request_id"):
            raise error
        return f"request={record.request_id}"

    class OfRequest(logging.LogRecord):
        def __init__(self, name, *args):
            if name == "logplex_handler":
                raise error
            super().__init__(name, *args)

    monkeypatch.setattr(logging, "LogRecord", OfRequest)
    with LogplexReceiver() as receiver, own_logger() as logger:
        handler = LogplexHandler(receiver.url, health_interval=3600)
        handler.formatter = KeyValueFormatter(source="here")
        handler.formatter.format = format_with_request
        logger.addHandler(handler)
        handler.handle(logging.makeLogRecord({"request_id": 1, "levelno": None}))
        logger.info("hello", extra={"request_id": 2})
        assert handler.flush(100)
        handler.close()
        texts = "\n".join([line.text for line in receiver.lines])
    assert "request=2" in texts
    assert "source=here level=warning logger=logplex_handler " in texts
    assert "source=here sample#logplex_handler.accepted=" in texts
    assert "internal error" not in capsys.readouterr().err


def test_of_an_instance_that_sets_it_before_anything_else():
    """Its class need not know how the handler begins."""

    class Early(LogplexHandler):
        def __init__(self, url):
            self.format = lambda record: f"early {record.name}"
            super().__init__(url)

    assert sent(Early) == ["early shop"] * 60


def test_a_text_of_several_lines_is_one_packet_unless_the_formatter_makes_lines():
    """A line break in other text is made visible."""

    class Broken(LogplexHandler):
        def format(self, record):
            return super().format(record) + "\nlevel=critical"

    def plain(url):
        handler = Broken(url)
        handler.setFormatter(logging.Formatter("%(message)s"))
        return handler

    assert sent(plain, 1) == [r"password is s3cret\nlevel=critical"]


def test_what_is_no_text_is_an_error_of_the_format(capsys):
    """It is counted, and `handleError` reports it."""

    class Wrong(LogplexHandler):
        def format(self, record):
            return 5

    with LogplexReceiver() as receiver, own_logger() as logger:
        handler = Wrong(receiver.url)
        logger.addHandler(handler)
        logger.info("hello")
        assert handler.stats().dropped == {"format_error": 1}
        handler.close()
    assert "not a string" in capsys.readouterr().err


def test_the_formatter_of_another_handler_leaves_nothing_in_ours():
    """What it wrote of the exception is in the record, and is its own."""

    class Colourful(logging.Formatter):
        def formatException(self, ei):
            return "RED " + super().formatException(ei)

    class Ours(KeyValueFormatter):
        def formatException(self, ei):
            return "ours"

    def handler_of(formatter):
        def make(url):
            handler = LogplexHandler(url)
            handler.setFormatter(formatter)
            return handler

        return make

    try:
        raise ValueError("x")
    except ValueError as error:
        record = logging.LogRecord("shop", 40, "", 0, "failed", (), (type(error), error, None))
    Colourful().format(record)
    assert record.exc_text.startswith("RED ")
    plain = KeyValueFormatter().format(record)
    assert 'traceback="ValueError: x"' in plain
    assert Ours().format(record).endswith(" traceback=ours")
    record.exc_info = None
    assert 'traceback="RED ValueError: x"' in KeyValueFormatter().format(record)


def test_stack_info_is_written_by_the_formatter():
    """As in the standard library, `formatStack` may be overridden."""

    class Ours(KeyValueFormatter):
        def formatStack(self, stack_info):
            return stack_info.upper()

    record = logging.LogRecord("shop", 40, "", 0, "failed", (), None, sinfo="stack")
    assert Ours().format(record).endswith(" stack=STACK")
