"""The API of the page's server: what tests in other languages ask, and what the page needs."""

from __future__ import annotations

import base64
import gzip
import json
import shlex
import subprocess
import threading
from contextlib import contextmanager

import pytest
import requests

from logplex_handler.receiver.feed import Feed, ReceivedRequest
from logplex_handler.receiver.store import Position, Store
from logplex_handler.testing import LogplexReceiver
from tests.receiver.page import body, shown
from tests.receiver.posts import TOKEN, post
from tests.testing.wire import raw

LONG = ('level=info part=1/2 msg="a b"', 'level=info part=2/2 msg="c d" n=1')


@pytest.fixture
def one():
    with shown() as local:
        yield local


def get(one, path, method="GET", **parameters):
    url = f"{one.page.url}api/{path}"
    return requests.request(method, url, params=parameters, timeout=100)


@contextmanager
def listening(one, **headers):
    """The page's stream of events: a function that returns the next one, and its data."""
    url = f"{one.page.url}api/events"
    with requests.get(url, headers=headers, stream=True, timeout=100) as answer:
        lines = answer.iter_lines(chunk_size=1)

        def following():
            name = "message"
            for line in lines:
                field, _, value = line.decode().partition(": ")
                if field == "event":
                    name = value
                elif field == "data":
                    return name, json.loads(value)
            return None

        yield following


# Lines.


def test_lines_are_found_by_a_query_with_all_that_is_known_about_them(one):
    """As JSON with full names."""
    one.send('level=info msg="order shipped" order_id=42 measure#shop.total=4ms', "order_id=41")
    one.send("a=b=c order_id=42", process="worker.1", hostname="other", priority=187)
    answer = get(one, "lines", q="order_id=42 process=web.*").json()
    assert (answer["run"], answer["next"], answer["total"]) == (one.store.run, 5, 1)
    (line,) = answer["lines"]
    assert line.pop("arrived") > 1.7e9
    assert line == {
        "n": 0,
        "time": "2026-11-21T12:00:00.000000+00:00",
        "stream": "shop",
        "hostname": "shop",
        "app": "app",
        "process": "web.1",
        "level": "info",
        "text": 'level=info msg="order shipped" order_id=42 measure#shop.total=4ms',
        "pairs": {
            "level": "info",
            "msg": "order shipped",
            "order_id": "42",
            "measure#shop.total": "4ms",
        },
        "metrics": [
            {"kind": "measure", "name": "shop.total", "value": 4.0, "unit": "ms", "source": ""}
        ],
        "parts": [],
        "shown": True,
        "violations": [],
        "request": 2,
    }
    (bad,) = get(one, "lines", q="violations>0 level>=error stream=other").json()["lines"]
    assert (bad["violations"][0]["rule"], bad["pairs"], bad["request"]) == ("pair.bare", {}, 4)
    assert get(one, f"lines/{bad['n']}").json()["request"] == 4


def test_a_line_in_parts_is_one_line(one):
    """As in the terminal and on the page."""
    one.send(LONG[0])
    one.send(LONG[1])
    (line,) = get(one, "lines", q="n=1").json()["lines"]
    assert line["text"] == 'level=info msg="a bc d" n=1'
    assert line["parts"] == [*LONG]


def test_the_last_lines_are_given_and_all_are_counted(one):
    """In their order."""
    one.send(*(f"n={number}" for number in range(20)))
    answer = get(one, "lines", limit=3).json()
    assert [line["text"] for line in answer["lines"]] == ["n=17", "n=18", "n=19"]
    assert answer["total"] == 20
    assert get(one, "lines", after=17).json()["total"] == 2
    assert get(one, "lines", limit=0).json()["lines"] == []


def test_a_test_waits_for_lines(one):
    """As long as it says; that they do not come is a status that curl -f takes for a failure."""
    assert get(one, "lines", q="n=1", wait=0).status_code == 200
    found = []
    waiting = threading.Thread(
        target=lambda: found.append(get(one, "lines", q="n=1,2", count=2, wait=60))
    )
    waiting.start()
    one.send("n=1")
    one.send("n=2", "n=3")
    waiting.join(100)
    assert [line["text"] for line in found[0].json()["lines"]] == ["n=1", "n=2"]
    missing = get(one, "lines", q="n=4", wait=1)
    assert (missing.status_code, missing.json()["total"]) == (404, 0)


def test_lines_are_exported_as_customers_see_them(one):
    """Or as one JSON object each; a browser saves them."""
    one.send("a=\x9b2J", LONG[0], LONG[1])
    one.post(b"49 <190>1 2026-11-21T12:00:00+00:00 shop app w.1 - x\n", 1)
    text = get(one, "lines", format="text", download="lines.log")
    head = "2026-11-21T12:00:00.000000+00:00 app[web.1]: "
    # A terminal takes no command from it.
    assert text.text == f"{head}a=\\u009b2J\n{head}{LONG[0]}\n{head}{LONG[1]}\n"
    assert text.headers["Content-Disposition"] == 'attachment; filename="lines.log"'
    rows = get(one, "lines", format="ndjson").text.splitlines()
    assert [json.loads(row)["text"] for row in rows][:2] == [
        "a=\x9b2J",
        'level=info msg="a bc d" n=1',
    ]


@pytest.mark.parametrize("form", ["text", "ndjson"])
def test_lines_are_followed_as_they_come(one, form):
    """The last ones first, and each once; a query leaves others out."""
    one.send("n=1", "n=2 a=1", "n=3 a=1", "n=4 a=1")
    asked = {"format": form, "follow": 1, "limit": 2, "q": "a=1"}
    url = f"{one.page.url}api/lines"
    with requests.get(url, params=asked, stream=True, timeout=100) as answer:
        lines = answer.iter_lines(chunk_size=1)
        assert [b"n=3" in next(lines), b"n=4" in next(lines)] == [True, True]
        for number in range(5, 8):
            one.send(f"n={number} a=2")
            one.send(f"n={number} a=1")
            assert f"n={number} a=1" in next(lines).decode()


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"q": "/(/"}, "no regular expression"),
        ({"q": "/(a+)+$/"}, "may take for ever"),
        ({"q": "level>=loud"}, "no level: loud"),
        ({"limit": "many"}, "limit must be a whole number"),
        ({"wait": "-1"}, "wait must be"),
        ({"format": "xml"}, "format must be json, text or ndjson"),
        ({"follow": "1"}, "follow needs format=text or format=ndjson"),
        ({"download": 'a"\r\nX: y'}, "download must be a file name"),
    ],
)
def test_what_makes_no_sense_is_told(one, parameters, words):
    """With the name of the parameter."""
    answer = get(one, "lines", **parameters)
    assert answer.status_code == 400
    assert words in answer.json()["error"]


def test_what_arrived_is_counted(one):
    """By stream, with what was refused and what is wrong."""
    one.send("a=1", "a=b=c")
    one.send("a=1", hostname="other")
    one.post(body("a=1"), 3)
    known = get(one, "summary").json()
    assert {name: known[name] for name in ("lines", "requests", "refused")} == {
        "lines": 3,
        "requests": 3,
        "refused": 1,
    }
    assert known["streams"]["shop"] == {"lines": 2, "violations": 1}
    assert known["violations"] == 2
    assert known["dropped"] == {"lines": 0, "requests": 0}
    assert get(one, "requests", refused=1).json()["requests"][0]["status"] == 400
    assert get(one, "requests", violations=1).json()["total"] == 1
    assert get(one, "requests", limit=1).json()["requests"][0]["n"] == 5


# One request.


def dissected(one, number):
    return get(one, f"requests/{number}").json()


def test_a_request_is_dissected(one):
    """Each frame with its offsets and its line, and the byte that is wrong."""
    data = body("a=1", "b=2")
    one.send("a=1", "b=2")
    known = dissected(one, 2)
    assert known["line"] == "POST /logs HTTP/1.1"
    assert base64.b64decode(known["body"]) == data
    first, second = known["dissected"]
    assert (first["count"], first["end"], first["line"], first["bad"]) == (
        0,
        second["count"],
        0,
        None,
    )
    assert data[second["packet"] : second["end"]].endswith(b"b=2\n")
    assert (second["line"], known["routed"], known["unread"]) == (1, 2, None)
    assert known["answer"] == "Logplex answers 204 and routes 2 frames."
    assert known["sent_bytes"] == known["body_bytes"] == len(data)


def test_what_is_not_http_is_dissected(one):
    """As far as it can be; it cannot be sent again."""
    raw(one.receiver, b"nonsense\r\n\r\n")
    known = dissected(one, 0)
    assert (known["line"], known["curl"], known["status"]) == ("unreadable", "", 400)
    assert get(one, "requests/0/again", "POST").status_code == 404


def test_the_bad_byte_of_a_request_is_marked(one):
    """Of a packet, and of the framing, from which on Logplex reads nothing."""
    good = body("a=1")
    packet = good.partition(b" ")[2].replace(b"T12", b"t12")
    one.post(good + b"%d %b" % (len(packet), packet) + b"0 x", 3)
    (number,) = (item["n"] for item in one.items() if "q" in item)
    known = dissected(one, number)
    whole = base64.b64decode(known["body"])
    first, second = known["dissected"]
    assert first["bad"] is None
    assert second["bad"] == whole.index(b"2026", len(good))
    assert known["unread"] == known["bad"] == len(whole) - 3
    assert known["routed"] == 0
    assert known["answer"] == "Logplex answers 400 and routes nothing."


def test_a_compressed_request_is_dissected_as_logplex_reads_it(one):
    """With the bytes that were sent beside those that are read."""
    data = body("a=1" * 50)
    post(one.receiver.url, gzip.compress(data), 1, one.receiver.token, Content_Encoding="gzip")
    known = dissected(one, 1)
    assert base64.b64decode(known["body"]) == data
    assert known["sent_bytes"] < known["body_bytes"] == len(data)


def test_no_dissected_request_shows_a_token():
    """Neither in its headers nor in its body, its path or the command for curl."""
    with shown(tokens=[TOKEN]) as one:
        packet = body("a=1").partition(b" ")[2].replace(b" app ", f" {TOKEN} ".encode())
        url = one.receiver.url.replace("/logs", f"/logs/{TOKEN}?{TOKEN}")
        for target in (one.receiver.url, url):
            post(target, b"%d %b" % (len(packet), packet), 1, X_Token=TOKEN, X_Other=f"a{TOKEN}")
        for item in one.items():
            if "q" in item:
                number = item["n"]
                answer = get(one, f"requests/{number}")
                assert dict(answer.json()["headers"])["Authorization"] == "(hidden)"
                assert answer.json()["body"] is not None
                whole = base64.b64decode(answer.json()["body"])
                sent = get(one, f"requests/{number}/body").content
                assert TOKEN not in answer.text + (whole + sent).decode()
                assert b"x" * len(TOKEN) in whole


def test_credentials_in_other_headers_are_hidden_too():
    """By the header's name, or by how its value begins; the command for curl is without them."""
    with shown(any_token=True) as one:
        given = {"Cookie": "a=secret-1", "X_Api_Key": "secret-2", "X_Forwarded": "Basic secret-3"}
        post(one.receiver.url, body("a=1"), 1, **given)
        known = get(one, "requests/1").json()
    assert "secret-" not in json.dumps(known)
    assert dict(known["headers"])["X-Forwarded"] == "(hidden)"


def test_curl_sends_the_same_request(one):
    """With the URL of whoever runs it."""
    data = body("a=1", 'b="it\'s"')
    post(one.receiver.url, data, 2, one.receiver.token, X_Quote="it's", X_Evil="a\x9b2Jb")
    known = dissected(one, 2)
    assert one.receiver.token not in known["curl"]
    command = known["curl"].partition(" | curl ")[2]
    words = shlex.split(command)
    assert words[-1] == "$LOGPLEX_URL"
    assert "Content-Type: application/logplex-1" in words
    assert "X-Quote: it's" in words
    assert "\x9b" not in command, "a terminal would obey it"
    source = known["curl"].rpartition(" | curl ")[0]
    sent = subprocess.run(source, shell=True, capture_output=True, timeout=100, check=True).stdout
    assert sent == data


def test_a_request_is_sent_again(one):
    """With its token and its frame id, so it is a retry; a refused one is refused again."""
    one.send("a=1")
    assert get(one, "requests/1/again", "POST").json() == {"status": 204}
    assert [item["q"]["retry"] for item in one.items() if "q" in item] == [False, True]
    assert one.post(body("a=1"), 2) == 400
    assert get(one, "requests/4/again", "POST").json() == {"status": 400}
    assert get(one, "requests/0/again", "POST").status_code == 404
    assert get(one, "requests/99").status_code == 404


# Clearing.


def mark(before, **more):
    return ("mark", {"before": before, **more})


def test_what_was_cleared_comes_back(one):
    """For pages that are open, for those opened later, and for searches."""
    one.send("a=1")
    with listening(one) as following:
        assert following()[0] == "run"
        assert following() == mark(0, undo=False, forget=False, behind=2)
        assert following()[1]["items"][0]["x"] == "a=1"
        assert get(one, "lines", "DELETE").json() == {"before": 2, "undo": True}
        assert following() == mark(2, undo=True, forget=True, behind=0)
        # A second time there is nothing to clear, and the first can still be undone.
        get(one, "lines", "DELETE")
        one.send("a=2")
        assert [item.get("x") for item in following()[1]["items"]] == ["a=2", None]
        assert get(one, "lines").json()["total"] == 1
        assert get(one, "summary").json()["requests"] == 1
        assert get(one, "undo", "POST").json() == {"before": 0, "undo": False}
        assert following() == mark(0, undo=False, forget=True, behind=4)
        assert [item["n"] for item in following()[1]["items"]] == [0, 1, 2, 3]
    assert get(one, "lines").json()["total"] == 2
    assert get(one, "undo", "POST").json() == {"before": 0, "undo": False}


@pytest.mark.parametrize(("seen", "forgets"), [(0, True), (2, False)])
def test_a_page_that_comes_back_after_a_clearing_forgets_what_it_had(one, seen, forgets):
    """Unless it has known of the clearing before."""
    one.send("a=1")
    one.store.clear()
    one.send("a=2")
    with listening(one, **{"Last-Event-ID": f"{one.store.run}:2:1:1:{seen}"}) as following:
        following()
        assert following() == mark(2, undo=True, forget=forgets, behind=2)
        assert [item["n"] for item in following()[1]["items"]] == [2, 3]


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Host": "evil.example"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"},
    ],
)
def test_no_other_site_clears_or_sends(one, headers):
    """What changes something is refused like what reads."""
    one.send("a=1")
    for method, path in (("DELETE", "lines"), ("POST", "undo"), ("POST", "requests/1/again")):
        url = f"{one.page.url}api/{path}"
        assert requests.request(method, url, headers=headers, timeout=100).status_code == 403
    assert len(one.items()) == 2
    assert one.store.mark == (Position(), False)
    # A link or an image on another site is a GET.
    assert get(one, "undo").status_code == get(one, "requests/1/again").status_code == 405


# What a page has missed.


def test_a_reader_that_is_too_slow_learns_what_it_missed():
    """In lines and requests, and what is no longer kept."""
    with shown(keep=10) as one:
        one.send("a=0")
        with listening(one) as following:
            following(), following()
            name, first = following()
            seen = f"{one.store.run}:2:1:1:0"
            assert (name, first["missed"]) == ("message", {"lines": 0, "requests": 0})
        for number in range(30):
            one.send(f"a={number}", "b=1")
        with listening(one, **{"Last-Event-ID": seen}) as following:
            following(), following()
            _, data = following()
        dropped = data["dropped"]
        assert data["missed"] == {
            "lines": dropped["lines"] - 1,
            "requests": dropped["requests"] - 1,
        }
        assert dropped["lines"] + sum("x" in item for item in data["items"]) == 61
        assert (data["next"], data["behind"]) == (92, 0)


def test_a_page_learns_of_a_restart(one):
    """The run is another one, and its start is told."""
    with listening(one) as following:
        name, run = following()
    assert (name, run["run"], run["keep"]) == ("run", one.store.run, 100_000)
    assert run["started"] == one.store.started
    assert Store(1).run != one.store.run


def test_a_request_with_very_many_lines_is_given_in_several_pieces():
    """So that no event is too large; each line knows its request."""
    store = Store(100_000)
    with LogplexReceiver(on_arrival=Feed([store.add])) as receiver:
        post(receiver.url, b"".join(body("a=1") for _ in range(12_000)), 12_000, receiver.token)
    news = store.since(Position())
    assert (news.end, news.behind) == ((5_000, 5_000, 0), 7_001)
    news = store.since(news.end)
    assert store.since(news.end).end == store.end == (12_001, 12_000, 1)
    assert store.details(7)["request"] == 12_000
    assert len(store.request(12_000)[2]) == 12


def test_bodies_take_bounded_memory():
    """Those of the last requests are kept."""
    store = Store(100_000, max_body_bytes=110_000)
    with LogplexReceiver(on_arrival=Feed([store.add])) as receiver:
        post(receiver.url, b"10000000 " + b"x" * 30_000, 1, receiver.token)
        (request,) = [one for _, one, _ in [store.request(0)]]
    for _ in range(9):
        store.add(ReceivedRequest(request, "", (), ()))
    assert [number for number in range(10) if store.request(number)[1]] == [7, 8, 9]
    assert store.request(0)[0]["bytes"] == 30_009
