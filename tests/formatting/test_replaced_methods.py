"""Programs and tools replace methods of formatters and handlers, perhaps to hide a text."""

from __future__ import annotations

import logging

import pytest

from logplex_handler import KeyValueFormatter, LogplexHandler
from logplex_handler._formatting.call_sites import _RECORDS_BEFORE_COMPILING
from logplex_handler.testing import LogplexReceiver
from tests import strict
from tests.formatting.call_sites import codec_that_knows, is_compiled, known_entry, make

SECRET = make("password is %s", ("s3cret",))


def redacted(record):
    return "password is ***"


def test_a_format_that_is_set_on_the_formatter_gets_every_later_record():
    """Also those of call sites that are compiled already."""
    formatter = KeyValueFormatter()
    codec = codec_that_knows(SECRET, formatter=formatter)
    assert is_compiled(codec.entry(SECRET, formatter)[0])
    assert known_entry(codec, SECRET, formatter)
    formatter.format = redacted
    assert known_entry(codec, SECRET, formatter) is None
    for _ in range(_RECORDS_BEFORE_COMPILING + 1):
        assert codec.entry(SECRET, formatter)[0][-1] == redacted(SECRET)


def test_a_formatter_that_gets_another_class_gets_every_later_record():
    """Its `format` is that of the new class."""

    class Redacting(KeyValueFormatter):
        def format(self, record):
            return redacted(record)

    formatter = KeyValueFormatter()
    codec = codec_that_knows(SECRET, formatter=formatter)
    formatter.__class__ = Redacting
    assert codec.entry(SECRET, formatter)[0][-1] == redacted(SECRET)


@pytest.mark.parametrize(
    ("owner", "name", "replacement", "text"),
    [
        (KeyValueFormatter, "format", lambda formatter, record: "***", "***"),
        (
            logging.LogRecord,
            "getMessage",
            lambda record: str(record.msg) % record.args if record.args != ("s3cret",) else "***",
            "level=info logger=shop msg=***",
        ),
    ],
    ids=["format", "getMessage"],
)
def test_a_method_that_is_replaced_gets_the_records_of_what_is_not_compiled(
    owner, name, replacement, text, monkeypatch
):
    """Nothing is compiled from then on."""
    formatter = KeyValueFormatter()
    codec = codec_that_knows(make("other %s", ("text",)), formatter=formatter)
    monkeypatch.setattr(owner, name, replacement)
    for _ in range(_RECORDS_BEFORE_COMPILING + 1):
        assert codec.entry(SECRET, formatter)[0][-1] == text
    monkeypatch.undo()
    assert (
        codec.entry(SECRET, formatter)[0][-1] == 'level=info logger=shop msg="password is s3cret"'
    )


class Redacting(logging.LogRecord):
    def getMessage(self):
        return "***"


@pytest.mark.parametrize(
    "message", ["password is %s", {"password": "s3cret"}, ["s3cret"]], ids=type
)
@pytest.mark.parametrize("is_of_class", [True, False])
def test_a_get_message_of_a_record_or_its_class_hides_the_message(message, is_of_class):
    """A filter may set it as an attribute. It is no extra."""
    formatter = KeyValueFormatter()
    codec = codec_that_knows(SECRET, formatter=formatter)
    kind = Redacting if is_of_class else logging.LogRecord
    for _ in range(_RECORDS_BEFORE_COMPILING + 10):
        args = ("s3cret",) if isinstance(message, str) else ()
        record = kind("shop", logging.INFO, "", 0, message, args, None)
        if not is_of_class:
            record.getMessage = lambda: "***"
        assert known_entry(codec, record, formatter) is None
        assert codec.entry(record, formatter)[0][-1] == "level=info logger=shop msg=***"


@pytest.mark.parametrize("message", ["order %s", ["order 7"]])
def test_an_extra_of_this_name_is_an_extra(message):
    """A user may have chosen it. It changes no message."""
    record = make(message, ("7",) if isinstance(message, str) else (), {"getMessage": "x"})
    text = "order 7" if record.args else "['order 7']"
    pairs = strict.pairs(KeyValueFormatter().format(record))[2:]
    assert pairs == [("msg", text), ("getMessage", "x")]


def test_a_get_message_that_changes_nothing_leaves_the_pairs_of_a_message(monkeypatch):
    """Agents replace it to add something only if they are asked to."""
    before = logging.LogRecord.getMessage
    monkeypatch.setattr(logging.LogRecord, "getMessage", lambda record: str(before(record)))
    text = KeyValueFormatter().format(make("user=%s order=%d", ("bob admin=true", 7)))
    assert strict.pairs(text)[2:] == [("user", "bob admin=true"), ("order", "7")]
    text = KeyValueFormatter().format(make("order=%d", ("seven",)))
    assert [key for key, _ in strict.pairs(text)[2:]] == ["msg", "log_error"]
    assert strict.pairs(KeyValueFormatter().format(make({"order": 7})))[2:] == [("order", "7")]


@pytest.mark.parametrize(
    ("name", "is_late"), [("emit", False), ("format", False), ("filter", False), ("emit", True)]
)
def test_a_method_of_the_handler_s_class_that_is_replaced_gets_every_record(
    name, is_late, monkeypatch
):
    """If a handler is made later; `emit` and `format` otherwise, too, if nothing is compiled."""
    called = []

    def replacement(handler, record):
        called.append(record)
        return ""

    with LogplexReceiver() as receiver:
        early = LogplexHandler(receiver.url)
        monkeypatch.setattr(LogplexHandler, name, replacement)
        handler = early if is_late else LogplexHandler(receiver.url)
        for _ in range(_RECORDS_BEFORE_COMPILING + 10):
            handler.handle(SECRET)
        assert len(called) == _RECORDS_BEFORE_COMPILING + 10
        monkeypatch.undo()
        handler.close()
        early.close()
    assert "s3cret" not in str([line.text for line in receiver.lines])
