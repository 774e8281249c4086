"""Which call sites are compiled, and what they keep."""

import gc
import logging
import re
import threading
import weakref

import pytest

from logplex_handler import KeyValueFormatter
from logplex_handler._formatting import line
from logplex_handler._formatting.call_sites import _RECORDS_BEFORE_COMPILING
from logplex_handler._formatting.codec import Codec
from logplex_handler.testing import LogplexReceiver
from tests.formatting.call_sites import (
    FORMATTER,
    PACKET,
    VALUES,
    codec_that_knows,
    formatted,
    frames,
    is_compiled,
    make,
)
from tests.logs import balanced, logging_to


def test_another_formatter_has_call_sites_of_its_own():
    """An entry becomes the line that it would have been when it was logged."""
    record = make("order %s shipped", (5,))
    codec = codec_that_knows(record)
    before, _ = codec.entry(record, FORMATTER)
    other = KeyValueFormatter(message_key="message")
    after, _ = codec.entry(record, other)
    assert not is_compiled(after)
    assert frames(codec, before) == formatted(record)
    assert frames(codec, after) == formatted(record, other)


@pytest.mark.parametrize(
    "formatter",
    [logging.Formatter("%(message)s"), type("Mine", (KeyValueFormatter,), {})()],
    ids=["logging.Formatter", "subclass"],
)
def test_formatters_of_other_classes_are_called_for_every_record(formatter):
    """Their lines may depend on anything."""
    record = make("order %s shipped", (5,))
    codec = codec_that_knows(record, formatter=formatter)
    entry, is_light = codec.entry(record, formatter)
    assert not is_compiled(entry)
    assert is_light
    assert not codec.entry(make("order %s shipped", ("x" * 3000,)), formatter)[1]


def test_a_rare_call_site_is_not_compiled():
    """Compiling costs as much as it saves on so many records."""
    codec = Codec(PACKET, FORMATTER)
    record = make("order %s shipped", (5,))
    for _ in range(_RECORDS_BEFORE_COMPILING):
        entry, _ = codec.entry(record, FORMATTER)
        assert not is_compiled(entry)
    entry, _ = codec.entry(record, FORMATTER)
    assert is_compiled(entry)


def test_templates_made_at_run_time_do_not_fill_the_memory():
    """They do not come again, and their counts are not kept for long."""
    codec = Codec(PACKET, FORMATTER)
    for number in range(5000):
        codec.entry(make(f"order {number} took %s", (5,)), FORMATTER)
    assert len(codec.call_sites._counts) <= 1024
    for _ in range(2 * _RECORDS_BEFORE_COMPILING):
        codec.entry(make("x" * 2000 + "%s", (5,)), FORMATTER)
    assert not codec._compiled.by_number


@pytest.mark.parametrize(
    "record",
    [
        make({"a" * 1001: 1}),
        make({f"a{number}": 1 for number in range(33)}),
        make({("a",) * 1000: 1}),
        make("a" * 1001 + "%s", (1,)),
        make("hello", extra={"a" * 1001: 1}),
        make("hello", name="a" * 1001),
    ],
    ids=["long key", "many keys", "another key", "template", "extra", "logger"],
)
def test_nothing_is_kept_of_texts_that_are_made_at_run_time(record):
    """A user may have chosen them, and each may be different."""
    codec = codec_that_knows(record)
    assert not codec.call_sites._counts
    assert not codec._compiled.by_number
    line._known_level_and_logger.cache_clear()
    line.LineForm("", "", "msg", False).start("INFO", "a" * 1001)
    assert line._known_level_and_logger.cache_info().currsize == 0


def test_a_call_site_has_the_size_of_its_names():
    """So that many with long names are too many."""
    short, long = make({"a": 1}), make({"a" * 900: 1})
    codec = codec_that_knows(short, long)
    sizes = [site.size for site in codec._compiled.by_number.values()]
    assert sizes[1] - sizes[0] == 8 * 899


def test_a_long_text_is_formatted_at_once():
    """Its size must be known, as it counts towards the limit of memory."""
    short = make("order %s shipped", ("x",))
    codec = codec_that_knows(short)
    entry, is_light = codec.entry(make("order %s shipped", ("\x01" * 3000,)), FORMATTER)
    assert not is_light
    assert codec.weigh(entry)[0] > 6 * 3000
    assert codec.entry(short, FORMATTER)[1]


def test_types_that_cannot_be_hashed_are_no_reason_to_fail():
    """Their records are formatted in the caller's thread."""

    class Meta(type):
        def __eq__(cls, other):
            return cls is other

        __hash__ = None

    class Value(metaclass=Meta):
        pass

    record = make("shipped", (), {"value": Value()})
    entry, _ = codec_that_knows(record).entry(record, FORMATTER)
    assert not is_compiled(entry)


def test_no_value_of_a_record_is_kept():
    """Not of the record that a call site was compiled for either."""

    class Connection:
        pass

    argument, extra = Connection(), Connection()
    gone = [weakref.ref(argument), weakref.ref(extra)]
    codec = codec_that_knows(make("on %s", (argument,), {"extra": extra}))
    assert codec._compiled.by_number
    del argument, extra
    gc.collect()
    assert [ref() for ref in gone] == [None, None]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: repr(value)[:20])
def test_what_is_light_weighs_no_more_than_is_said(value):
    """A light entry is queued without being weighed."""
    record = make("%s and %s", (value, value), {"a": value})
    codec = codec_that_knows(record)
    entry, is_light = codec.entry(record, FORMATTER)
    size, packets = codec.weigh(entry)
    assert size <= 2048 or not is_light
    assert packets == 1 or not is_light
    assert codec.weigh(entry) == (size, packets)


def test_a_class_with_an_emit_of_its_own_gets_every_record():
    """As `logging` promises."""
    seen = []
    with LogplexReceiver() as logplex:
        from logplex_handler import LogplexHandler

        class Mine(LogplexHandler):
            def emit(self, record):
                seen.append(record)
                super().emit(record)

        handler = Mine(logplex.url)
        for number in range(3 * _RECORDS_BEFORE_COMPILING):
            handler.handle(make("order %s shipped", (number,)))
        handler.close()
        assert len(seen) == len(logplex.lines) == 3 * _RECORDS_BEFORE_COMPILING


def test_records_of_many_threads_arrive_once_in_each_thread_s_order():
    """Through compiled call sites, light entries and several batches."""
    threads, each = 8, 2500
    with (
        LogplexReceiver() as logplex,
        logging_to(logplex.url, formatter=KeyValueFormatter()) as (logger, handler),
    ):

        def work(thread):
            for number in range(each):
                logger.info("thread %s logs %s", thread, number, extra={"n": number})

        workers = [threading.Thread(target=work, args=(thread,)) for thread in range(threads)]
        for worker in workers:
            worker.start()
        while any(worker.is_alive() for worker in workers):
            assert balanced(handler.stats())
        assert handler.flush(100)
        stats = handler.stats()
    assert stats.delivered == threads * each
    seen = [re.search(r"thread (\d) logs (\d+)", line.text).groups() for line in logplex.lines]
    for thread in range(threads):
        assert [int(n) for t, n in seen if t == str(thread)] == list(range(each))


def test_a_record_of_a_compiled_call_site_leaves_without_another_one():
    """The first of a batch starts the clock."""
    with (
        LogplexReceiver() as logplex,
        logging_to(logplex.url, formatter=KeyValueFormatter(), flush_interval=0.05) as (logger, _),
    ):
        for sent, pause in enumerate([0] * 100 + [0.08] * 10, 1):
            logger.info("order %s shipped", sent)
            if pause:
                assert logplex.wait_for(sent)
