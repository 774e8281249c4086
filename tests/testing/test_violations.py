"""Every rule of the wire format and the conventions: violated once, found, explained."""

from __future__ import annotations

import gzip
import pickle
import random
import re
import socket
import ssl
import zlib

import pytest

from logplex_handler.testing import conventions
from logplex_handler.testing._explanations import RULES
from logplex_handler.testing.conventions import (
    MetricUnits,
    Violation,
    has_many_digits,
    metrics_of,
    plain_metrics,
    text_violations,
)
from logplex_handler.testing.request_body import wrong_count_violation
from logplex_handler.testing.wire_parser import parse_packet
from tests.testing.wire import HEADER, LINES, bare, basic, frame, post, raw, sized

GOOD = {"Logplex_Msg_Count": "1", "Logplex_Frame_Id": "a"}


def header(old, new):
    """A good frame with one part of its header changed."""
    return frame("foo", header=HEADER.replace(old, new)), GOOD


REQUESTS = {
    "http.credentials": (LINES, {"Authorization": None, "Logplex_Msg_Count": "3"}),
    "http.base64": (LINES, {"Authorization": "Basic ???"}),
    "http.type": (LINES, {"Content_Type": "application/logplex-1; charset=utf-8"}),
    "http.count": (LINES, {"Logplex_Msg_Count": "2"}),
    "http.count-missing": (LINES, {}),
    "http.frame-id-missing": (LINES, {"Logplex_Frame_Id": None}),
    "http.user-agent-missing": (LINES, {"User_Agent": None}),
    "http.length-missing": (
        b"%x\r\n%s\r\n0\r\n\r\n" % (len(LINES), LINES),
        {"Content_Length": None, "Transfer_Encoding": "chunked"},
    ),
    "http.no-length": (LINES, {"Content_Length": None}),
    "http.gzip-unnamed": (gzip.compress(LINES), {}),
    "http.gzip": (LINES, {"Content_Encoding": "gzip"}),
    "http.encoding": (zlib.compress(LINES), {"Content_Encoding": "deflate"}),
    "frame.count": (frame("foo", by=1), GOOD),
    "frame.length": (frame("foo") + b"\n", GOOD),
    "frame.zero": (frame("foo") + b"0 ", GOOD),
    "frame.too-long": (sized(10_241), GOOD),
    "frame.malformed": (frame("foo") + b"\n", GOOD),
    "frame.more": (bare(*["foo"] * 12), {"Logplex_Msg_Count": "12"}),
    "packet.priority": header("<190>", "<192>"),
    "packet.version": header(">1 ", ">2 "),
    "packet.time": header("+00:00", "Z"),
    "packet.calendar": header("2013-03-27", "2013-02-30"),
    "packet.hostname": header(" host ", f" {'h' * 256} "),
    "packet.appname": header(" app ", f" {'a' * 49} "),
    "packet.procid": header(" web.1 ", f" {'p' * 129} "),
    "packet.reserved": header(" web.1 ", " router "),
    "packet.msgid": header(" - - ", " ID1 - "),
    "packet.structured-data": header(" - - ", " - "),
    "packet.end": (bare("foo"), GOOD),
    "packet.newline": (frame("fo\no"), GOOD),
    "packet.control": (frame("fo\x1bo"), GOOD),
    "packet.utf-8": (frame(HEADER.encode() + b"\xff\n"), GOOD),
    "packet.bom": (frame("\ufefffoo"), GOOD),
}
LINES_OF_TEXT = {
    "packet.letters": frame("foo", header=HEADER.replace("web.1", "Web_1")),
    "packet.size": sized(10_200),
    "pair.key": frame("a=b and words"),
    "pair.bare": frame("a=b=c"),
    "pair.unterminated": frame('a="b'),
    "pair.escape": frame(r'a="\x41"'),
    "pair.control": frame('a="b\tc"'),
    "pair.after-quote": frame('a="b"c'),
    "text.source-twice": frame("source=a source=b count#x=1"),
    "text.source-space": frame('source="us east" count#x=1'),
    "text.card-number": frame("order=4111111111111111"),
    "text.quoted-metric": frame('msg="user sent count#x=5"'),
    "metric.kind": frame("Measure#x=1ms"),
    "metric.name": frame("measure#=1ms"),
    "metric.exponent": frame("measure#x=1e3ms"),
    "metric.sign": frame("measure#x=-5"),
    "metric.separator": frame("measure#x=1,000"),
    "metric.hex": frame("measure#x=0x10"),
    "metric.number": frame("measure#x=NaN"),
    "metric.decimals": frame("measure#x=0.1234567"),
    "metric.large": frame(f"measure#x={'9' * 400}"),
    "metric.unit": frame("measure#x=4%"),
    "metric.quoted": frame('measure#x="4ms"'),
}
# Each has a test of its own, below or in test_wire_table.py.
APART = {
    "http.accept",
    "http.header-size",
    "http.host",
    "http.length",
    "http.method",
    "http.tls",
    "http.version",
    "http.path",
    "http.frame-id-reused",
    "http.too-large",
    "http.unreadable",
    "metric.two-units",
    "packet.token",
}


def test_every_rule_is_tested():
    """A new rule gets its row here."""
    assert REQUESTS.keys() | LINES_OF_TEXT.keys() | APART == RULES.keys()


@pytest.mark.parametrize("rule", REQUESTS)
def test_a_broken_rule_of_the_wire_is_found_in_the_request(logplex, rule):
    """The violation names the place, the consequence, and the remedy."""
    body, changes = REQUESTS[rule]
    post(logplex, body, **changes)
    found = {violation.rule: violation for violation in logplex.violations}
    assert rule in found
    explains(found[rule])


@pytest.mark.parametrize("rule", LINES_OF_TEXT)
def test_a_broken_convention_is_found_in_the_line(logplex, rule):
    """Logplex accepts these lines, so the line has a violation and the request has none."""
    post(logplex, LINES_OF_TEXT[rule], **GOOD)
    (line,) = logplex.lines
    assert [violation.rule for violation in line.violations] == [rule]
    assert logplex.violations == ()
    explains(line.violations[0])


def explains(violation):
    assert violation.explained == f"{violation.finding}. {violation.consequence} {violation.cure}"
    assert len(violation.cure) > 5
    assert len(violation.consequence) > 5
    of_a_byte = violation.rule.startswith(("packet", "pair", "metric", "frame", "text"))
    if of_a_byte and violation.rule not in ("frame.more", "text.source-twice"):
        place = r"byte|character|bytes|400|router|source|holds"
        assert re.search(place, violation.finding), violation.finding


@pytest.mark.parametrize("by", [-1, 1, 5])
@pytest.mark.parametrize("end", ["", "\n"])
@pytest.mark.parametrize("last", [False, True])
def test_a_wrong_octet_count_is_told_by_frame_and_number(logplex, by, end, last):
    """It names the frame, its count, and the packet's real end."""
    bad = frame("foo", end=end, by=by)
    packet = len(bad) - 3
    body = frame("foo", end=end) + bad + (b"" if last else frame("bar", end=end) * 2)
    post(logplex, body, Logplex_Msg_Count=str(2 if last else 4))
    (told,) = [one for one in logplex.violations if one.rule == "frame.count"]
    if end or by < 0 or last:
        words = f"frame 2: octet count {packet + by}, but the packet ends after {packet} bytes"
        assert told.finding.startswith(words)
    assert told.frame in (2, 3)


def test_right_counts_are_not_blamed():
    """Other faults are reported as themselves."""
    assert wrong_count_violation(LINES) is None
    assert wrong_count_violation(bare("1", "2", "3")) is None
    assert wrong_count_violation(LINES + b"\n") is None
    assert wrong_count_violation(frame("foo") + b" " + frame("bar")) is None
    assert wrong_count_violation(b"no frames") is None
    assert wrong_count_violation(frame("as in 62 <190>1 of the documents") + frame("bar")) is None


def test_a_path_that_is_not_logplex_is_explained(logplex):
    """Such a URL has lost its path."""
    answer = raw(logplex, b"POST / HTTP/1.0\r\nContent-Length: 0\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 404 ")
    assert next(one.rule for one in logplex.violations) == "http.path"


def test_a_frame_id_of_another_batch_is_explained(logplex):
    """The second batch is reported."""
    post(logplex, frame("foo"), **GOOD)
    post(logplex, frame("bar"), **GOOD)
    assert [one.rule for one in logplex.violations] == ["http.frame-id-reused"]


def test_a_token_in_a_text_is_explained_and_one_as_appname_is_good(logplex):
    """Logplex removes it only once, so readers of the log could see it."""
    token = logplex.token
    form_of_2013 = HEADER.replace(" app ", f" {token} ")
    post(logplex, frame("foo", header=form_of_2013), **GOOD)
    post(logplex, frame(f"url={token}"), **GOOD)
    post(logplex, frame(f"url={token}", header=form_of_2013), **GOOD)
    found = [[one.rule for one in line.violations] for line in logplex.lines]
    assert found == [[], ["packet.token"], ["packet.token"]]
    assert token not in "".join(one.explained for one in logplex.lines[1].violations)


def test_what_cannot_be_read_is_explained(logplex):
    """A body that is too large, and bytes that are not HTTP."""
    raw(logplex, b"POST /logs HTTP/1.1\r\nHost: x\r\nContent-Length: 8000001\r\n\r\n")
    raw(logplex, b"nonsense\r\n\r\n")
    assert [one.rule for one in logplex.violations] == ["http.too-large", "http.unreadable"]


def test_a_url_with_https_is_explained(logplex):
    """The client is answered at once, and learns that what answers is no TLS."""
    address = logplex.url.partition("@")[2].partition("/")[0].rpartition(":")
    with socket.create_connection((address[0], int(address[2])), 100) as connection:
        context = ssl.create_default_context()
        with pytest.raises(ssl.SSLError, match=r"(?i)wrong.version.number"):
            context.wrap_socket(connection, server_hostname="localhost")
    (told,) = logplex.violations
    assert told.rule == "http.tls"
    assert told.finding.startswith("400: the client speaks TLS, as to an https:// URL")
    assert [one.status for one in logplex.requests] == [400]


def test_a_second_unit_of_a_metric_is_explained():
    """It is another bucket to l2met; another source may have a unit of its own."""
    units = MetricUnits()
    assert not list(units.violations(metrics_of("source=a measure#x=1ms")))
    assert not list(units.violations(metrics_of("source=b measure#x=1s")))
    (told,) = units.violations(metrics_of("source=a measure#x=1s"))
    assert told.rule == "metric.two-units"
    assert "was ms and is s" in told


@pytest.mark.parametrize(
    "text",
    [
        "",
        "free text with a=b inside",
        "GET /x?a=b",
        'source=us msg="a b" n=1',
        "measure#web.latency=4ms sample#x=0.123456MB count#y=1",
        "source=DATABASE addon=x sample#index-cache-hit-rate=0.99",
        "Measurement",
        "grün=€",
    ],
)
def test_good_lines_and_free_text_are_no_violation(text):
    """Real lines of Heroku's own services among them."""
    assert list(text_violations(text)) == []


PIECES = ["a", "=", " ", '"', "\\", "'", "#", ".", "1e3", "0123456789012", "a=1 ", 'b="x" ']
PIECES += [
    "count#a=1",
    " measure#b=2.5ms",
    "Count#a=1",
    "source=us ",
    'source="a b" ',
    " source=eu",
]


def test_the_fast_way_finds_what_the_slow_one_finds(monkeypatch):
    """A line that it calls plain has no violation, and its metrics are the same."""
    chance = random.Random(1)
    texts = ["".join(chance.choices(PIECES, k=chance.randrange(1, 7))) for _ in range(5_000)]
    fast = []
    for text in texts:
        packet = parse_packet(f"{HEADER}{text}\n".encode())
        plain = None if has_many_digits(text.encode()) else plain_metrics(packet, text.encode())
        fast.append((plain, metrics_of(text)))
    monkeypatch.setattr(conventions, "_plain_metrics", lambda text: None)
    for text, (plain, metrics) in zip(texts, fast, strict=True):
        assert metrics == metrics_of(text), text
        assert plain is None or (plain, list(text_violations(text))) == (metrics, []), text
    assert 500 < sum(plain is not None for plain, _ in fast) < 4_500


def test_metrics_in_free_text_are_looked_at():
    """That is where l2met finds them too."""
    (told,) = text_violations("it took measure#x=1e3ms in all")
    assert told.rule == "metric.exponent"


def test_a_violation_is_a_text_and_can_be_sent_to_another_process():
    """pytest-xdist sends failures between processes."""
    violation = Violation("frame 1: bad", "frame.count", frame=1, finding="very bad")
    again = pickle.loads(pickle.dumps(violation))
    assert (again, again.rule, again.frame, again.finding) == (
        "frame 1: bad",
        "frame.count",
        1,
        "very bad",
    )
    with pytest.raises(KeyError):
        Violation("?", "no such rule")


def test_no_explanation_shows_the_token(logplex):
    """Not even where the token stands in a broken packet."""
    token = logplex.token
    post(logplex, frame(token, header=HEADER.replace("<190>", "<999>").replace("app", token)))
    post(logplex, LINES, Authorization=basic(token), Content_Type=token)
    shown = "".join(one.explained for one in logplex.violations)
    assert shown
    assert token not in shown
