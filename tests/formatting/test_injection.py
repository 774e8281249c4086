"""Hostile texts, sent through the handler over sockets, forge nothing and lose nothing."""

from __future__ import annotations

import logging
import re
from collections import Counter

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from logplex_handler import KeyValueFormatter, LogplexHandler, count
from logplex_handler._formatting.line import OWN_KEYS
from logplex_handler._formatting.long_lines import parts
from logplex_handler._wire.packet import PacketForm
from logplex_handler.testing import LogplexReceiver
from tests import strict
from tests.logs import RESERVED

HEADER = "<190>1 2013-03-27T20:02:24.000000+00:00 h app p - - "
TRACEBACK = (
    "Traceback (most recent call last):\n"
    '  File "x.py", line 1, in <module>\n'
    "    1 / 0\n"
    "ZeroDivisionError: division by zero\n"
)
# What each control character and quote is put into.
AROUND = ("{}", "a{}b", "{}count#x=5", "x=1{} y=2", 'say "{}"')
CHARACTERS = [
    *[chr(code) for code in (*range(0x20), *range(0x7F, 0xA0))],
    *'"=\\%#{}$',
    *["\ud800", "\udbff", "\udc00", "\udfff"],
    *["\u2028", "\u2029", "\u202e", "\u200f", "\u200b", "\xa0", "\ufeff", "\ufffe", "\uffff"],
    *["é", "日", "🎉", "👩\u200d🚀", "e\u0301", "\U0010ffff"],
]
TEXTS = [
    *[around.format(character) for character in CHARACTERS for around in AROUND],
    *["", " ", "  ", "a", "a b", "null", "true", "-", "--", "%s", "%d", "%(a)s", "%%", "100%"],
    *["a=b", "a=b=c", "=", "==", "a=", "=b", 'a="b"', 'a="b', "a='b c'", "a=b c=d", "a = b"],
    *['" admin="true', '\\" admin="true', '\\\\" admin=true "', '"\\', "\\n", "\\x", "\\u0000"],
    *["bob admin=true", "bob\nadmin=true", "bob\r\nlevel=critical logger=root", "bob\tadmin=true"],
    *["count#x=5", "x count#x=5", "measure#x=5ms source=evil", "sample#x=1e3", '"count#x=5"'],
    *["source=evil", "x source=evil count#x=5 y", "level=critical", "count#x", "\ncount#x=5"],
    f"\n62 {HEADER}foo",
    f"62 {HEADER}foo",
    f"x\n62 {HEADER}foo62 {HEADER}bar",
    f"\n{HEADER}count#x=5\n",
    "\n0 ",
    "\n99999999999999999999 x",
    "\r\n\r\nPOST /logs HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
    "<190>1 - - - - - -",
    TRACEBACK,
    TRACEBACK * 30,
    "\x1b[31mred\x1b[0m",
    "\x1b]0;title\x07",
    "\x1b[2J\x1b[H$ rm -rf /",
    "\ufefffirst",
    "a\ufeff\ufeffb",
    "\ud83d\ude00",
    "\u202eevil\u202c",
    "\uff21\uff1d\uff22 \uff02q\uff02",
    "x" * 100_000,
    "é" * 50_000,
    "日本" * 20_000,
    "🎉" * 25_000,
    '"' * 50_000,
    "\n" * 50_000,
    "x count#x=5 " * 9_000,
    ("\n62 " + HEADER + "foo") * 1_000,
    "a\ufeff" * 20_000,
    *["x" * length for length in range(9_850, 9_960, 7)],
]
assert len(TEXTS) > 300


def shown(text):
    """The text as it arrives: a lone surrogate cannot be sent."""
    return re.sub("[\ud800-\udfff]", "\ufffd", text)


# The keys that a line may have of its own; one of an extra gets an underscore.
KEYS_OF_A_LINE = {
    "level",
    "logger",
    "msg",
    "part",
    "log_error",
    "error",
    "error_msg",
    "traceback",
    "stack",
}


def stripped(name):
    """The name as a key, by the words of the conventions."""
    kept = [c for c in shown(name) if c > " " and c not in '="' and not "\x7f" <= c <= "\x9f"]
    key = re.sub(r"^(measure|sample|count)#", r"\1_", "".join(kept) or "_")
    return f"{key}_" if key in KEYS_OF_A_LINE else key


class Sent:
    """What one logger sent: its lines, read from the bytes of the requests alone."""

    def __init__(self, **options):
        self._options = options

    def __enter__(self):
        self.receiver = LogplexReceiver().start()
        self.handler = LogplexHandler(
            self.receiver.url,
            hostname="host",
            procid="web.1",
            flush_interval=0.05,
            max_buffer_bytes=64 * 1024 * 1024,
            **self._options,
        )
        self.logger = logging.getLogger("nasty")
        self.logger.propagate = False
        self.logger.setLevel(logging.DEBUG)
        self.logger.addHandler(self.handler)
        return self

    def __exit__(self, *exc_info):
        self.logger.removeHandler(self.handler)
        self.handler.close()
        self.receiver.close()

    def packets(self):
        """All packets, strictly read, in order."""
        assert self.handler.flush(100)
        assert self.receiver.violations == ()
        requests = self.receiver.requests
        assert {request.status for request in requests} <= {204}
        frames = [frame for request in requests for frame in strict.frames(request.body_bytes)]
        return [strict.packet(frame) for frame in frames]

    def lines(self, *, has_metrics=False):
        """The pairs of each line; each packet is read alone, and makes no metric."""
        packets = self.packets()
        for packet in packets:
            assert (packet.hostname, packet.appname, packet.procid) == ("host", "app", "web.1")

        def check(pairs):
            assert has_metrics or strict.metrics(pairs) == []

        return strict.lines([packet.text for packet in packets], check)

    def check_books(self, number):
        """Every record was delivered, once."""
        stats = self.handler.stats()
        assert (stats.accepted, stats.delivered, stats.pending) == (number, number, 0)
        assert (dict(stats.dropped), stats.retries, stats.possible_duplicates) == ({}, 0, 0)


def check(lines, expected):
    """Each line has the pairs that were logged and no other."""
    assert len(lines) == len(expected)
    for found, pairs in zip(lines, expected, strict=True):
        assert found == [("level", "info"), ("logger", "nasty"), *pairs]


def test_nothing_nasty_comes_out_of_an_argument():
    """As the argument of free text it is part of the message, whole."""
    with Sent() as sent:
        for text in TEXTS:
            sent.logger.info("hello %s!", text)
        check(sent.lines(), [[("msg", f"hello {shown(text)}!")] for text in TEXTS])
        sent.check_books(len(TEXTS))


def test_nothing_nasty_comes_out_of_an_extra():
    """It is the whole value of its key."""
    with Sent() as sent:
        for text in TEXTS:
            sent.logger.info("hello", extra={"user": text, "last": 1})
        check(
            sent.lines(),
            [[("msg", "hello"), ("user", shown(text)), ("last", "1")] for text in TEXTS],
        )
        sent.check_books(len(TEXTS))


def test_nothing_nasty_comes_out_of_the_key_of_an_extra():
    """It is one key, made of the characters that remain."""
    with Sent() as sent:
        for text in TEXTS:
            sent.logger.info("hello", extra={text: "v"})
        lines = sent.lines()
        for line, text in zip(lines, TEXTS, strict=True):
            name, value = line[-1]
            if name.endswith("…"):
                # A key that takes most of a packet is shortened.
                assert len(stripped(text)) > 9_800
                assert stripped(text).startswith(name[:-1])
                line[-1] = (stripped(text), value)
        check(lines, [[("msg", "hello"), (stripped(text), "v")] for text in TEXTS])
        sent.check_books(len(TEXTS))


def test_nothing_nasty_comes_out_of_a_template_of_pairs():
    """It is the whole value, or a part of it, where its conversion stands."""
    with Sent() as sent:
        for text in TEXTS:
            sent.logger.info('status=ok user=%s note="to %s" id=7', text, text)
        check(
            sent.lines(),
            [
                [
                    *[("status", "ok"), ("user", shown(text))],
                    *[("note", f"to {shown(text)}"), ("id", "7")],
                ]
                for text in TEXTS
            ],
        )
        sent.check_books(len(TEXTS))


def test_nothing_nasty_comes_out_of_a_template_by_name():
    """The same holds for arguments by name."""
    with Sent() as sent:
        for text in TEXTS:
            sent.logger.info("user=%(user)s id=%(id)d", {"user": text, "id": 7})
        check(sent.lines(), [[("user", shown(text)), ("id", "7")] for text in TEXTS])
        sent.check_books(len(TEXTS))


def test_a_nasty_message_is_one_line():
    """A message that is key=value by itself stays pairs; every other is one whole value."""
    with Sent() as sent:
        for text in TEXTS:
            sent.logger.info(text)
        # A metric in a message is the program's own.
        lines = sent.lines(has_metrics=True)
        assert len(lines) == len(TEXTS)
        free = 0
        for found, text in zip(lines, TEXTS, strict=True):
            assert found[:2] == [("level", "info"), ("logger", "nasty")]
            free += found[2:] == [("msg", shown(text))]
            if found[2:] != [("msg", shown(text))]:
                assert "=" in text
                assert not re.search("[\x00-\x1f\x7f-\x9f]", text)
                assert all(value in shown(text) for _, value in found[2:])
        assert free > 0.9 * len(TEXTS)
        sent.check_books(len(TEXTS))


def test_nothing_nasty_comes_out_of_a_mapping_as_message():
    """The line has as many pairs as the mapping."""
    with Sent() as sent:
        for text in TEXTS:
            sent.logger.info({"user": text, "last": 1})
        check(sent.lines(), [[("user", shown(text)), ("last", "1")] for text in TEXTS])
        sent.check_books(len(TEXTS))


@pytest.mark.parametrize("exceptions", ["inline", "lines"])
def test_nothing_nasty_comes_out_of_an_exception(exceptions):
    """Its text is one value, and no line of its traceback becomes anything else."""
    short = [text for text in TEXTS if len(text) < 2_000]
    with Sent() as sent:
        sent.handler.setFormatter(KeyValueFormatter(exceptions=exceptions))
        for text in short:
            try:
                raise ValueError(text)
            except ValueError:
                sent.logger.info("failed %s", "x", exc_info=True)
        keys = ["level", "logger", "msg", "error", "error_msg", "traceback"]
        messages = []
        for found in sent.lines():
            assert [key for key, _ in found] == keys
            if found[5][1].startswith("Traceback (most recent call last):"):
                messages.append(found[4][1])
        doubled = Counter(messages) - Counter(map(shown, short))
        # The text of one of them is a traceback itself.
        assert set(doubled) <= {TRACEBACK}
        assert set(messages) == set(map(shown, short))
        sent.check_books(len(short))


def test_nothing_nasty_comes_out_of_a_plain_formatter():
    """Its text is one line, and characters that a packet must not have are made visible."""
    short = [text for text in TEXTS if len(text) < 2_000]
    with Sent() as sent:
        sent.handler.setFormatter(logging.Formatter("<%(message)s>"))
        for text in short:
            sent.logger.info("%s", text)
        found = [packet.text for packet in sent.packets()]
        assert len(found) == len(short)
        for text, was in zip(found, short, strict=True):
            visible = re.sub(
                "[\x00-\x08\x0b-\x0c\x0e-\x1f\x7f-\x9f]",
                lambda match: f"\\u{ord(match[0]):04x}",
                shown(was).replace("\n", "\\n").replace("\r", "\\r"),
            )
            assert text == f"<{visible}>"
        sent.check_books(len(short))


def test_real_metrics_beside_nasty_texts_are_the_only_ones():
    """A consumer reads the metrics that were recorded, with the source that was set."""
    with Sent() as sent:
        sent.handler.setFormatter(KeyValueFormatter(source="here"))
        short = [text for text in TEXTS if len(text) < 2_000]
        for text in short:
            sent.logger.info("user=%s", text, extra={"again": text} | count("real"))
        metrics = [
            metric
            for packet in sent.packets()
            for metric in strict.metrics(strict.pairs(packet.text))
        ]
        assert metrics == [strict.Metric("count", "real", 1.0, "", "here")] * len(short)
        sent.check_books(len(short))


def test_small_and_compressed_packets_lose_nothing():
    """The smallest packets, in compressed bodies and small batches."""
    with Sent(max_packet_bytes=2_048, compress=True, max_batch_bytes=5_000, batch_size=3) as sent:
        for text in TEXTS[::9]:
            sent.logger.info("user=%s", text)
        assert sent.handler.flush(100)
        assert sent.receiver.violations == ()
        lines = strict.lines(line.text for line in sent.receiver.lines)
        check(lines, [[("user", shown(text))] for text in TEXTS[::9]])
        sent.check_books(len(TEXTS[::9]))


ANY = st.text(max_size=200) | st.sampled_from([text for text in TEXTS if len(text) < 2_000])
NAMES = ANY.filter(lambda name: name not in RESERVED)
FORM = PacketForm("host", "app", "web.1", 23, True, 2_048)


def key_of(name):
    """The key of an extra: none of the line's own."""
    key = stripped(name)
    return f"{key}_" if key in OWN_KEYS | {"msg"} else key


def read(record):
    """The pairs of a record's lines, from its packets; each packet is read alone."""
    frames = FORM.frames(record.created, 20, KeyValueFormatter().format(record), parts)
    return strict.lines(strict.packet(strict.frames(frame)[0]).text for frame in frames)


@settings(max_examples=500)
@given(ANY, ANY, st.dictionaries(NAMES, ANY, max_size=4))
@example("", "", {"source": "", "level": "gold", "msg ": "x", "error_msg": "y"})
def test_any_text_comes_back_from_its_packets(first, second, extra):
    """Formatted, packed, and read back by readers that know nothing of the package."""
    record = logging.getLogger("nasty").makeRecord(
        "nasty", 20, "x.py", 1, "user=%s note=<%s>", (first, second), None, "f", extra
    )
    check(
        read(record),
        [
            [
                *[("user", shown(first)), ("note", f"<{shown(second)}>")],
                *[(key_of(name), shown(value)) for name, value in extra.items()],
            ]
        ],
    )


@settings(max_examples=300)
@given(ANY, st.lists(ANY, max_size=3))
def test_any_template_makes_packets_that_can_be_read(template, args):
    """With any arguments, whether they fit or not."""
    record = logging.getLogger("nasty").makeRecord(
        "nasty", 20, "x.py", 1, template, tuple(args), None, "f", None
    )
    (found,) = read(record)
    assert found[:2] == [("level", "info"), ("logger", "nasty")]


@settings(max_examples=5)
@given(st.lists(ANY, min_size=50, max_size=100))
def test_any_batch_of_texts_comes_back_over_sockets(texts):
    """In order, each once, with balanced counts."""
    with Sent() as sent:
        for text in texts:
            sent.logger.info("user=%s", text, extra={"again": text})
        check(sent.lines(), [[("user", shown(text)), ("again", shown(text))] for text in texts])
        sent.check_books(len(texts))
