"""The page's server: who may read it, what it serves, and what it keeps."""

from __future__ import annotations

import json
import socket

import pytest
import requests

from tests.logs import wait_until
from tests.receiver.page import body, shown


def test_a_number_that_no_float_holds_does_not_stop_the_page():
    """The page reads JSON, which has no infinity."""
    with shown() as one:
        one.send(f"sample#x={'9' * 400}", "sample#x=4")
        items = one.items()
        assert json.loads(json.dumps(items, allow_nan=False))[1]["m"][0][2] == 4.0
        assert items[0]["w"] == 1


def test_more_pages_than_anybody_opens_are_refused(monkeypatch):
    """Each has all lines written for it; the place of one that is closed is free again."""
    monkeypatch.setattr("logplex_handler.receiver._api._MAX_PAGES", 2)
    with shown() as one:
        one.send("a=1")
        host = f"127.0.0.1:{one.page.port}"

        def opened():
            page = socket.create_connection(("127.0.0.1", one.page.port), timeout=100)
            page.sendall(f"GET /api/events HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            return page, page.recv(100).split(b"\r\n")[0]

        pages = [opened(), opened()]
        assert [status for _, status in pages] == [b"HTTP/1.1 200 OK"] * 2
        page, status = opened()
        page.close()
        assert status == b"HTTP/1.1 503 Service Unavailable"
        pages[0][0].close()

        statuses = []

        def is_let_in():
            page, status = opened()
            page.close()
            statuses.append(status)
            return b"HTTP/1.1 200 OK" in statuses

        assert wait_until(is_let_in)
        pages[1][0].close()


def test_a_page_may_say_that_it_saw_anything():
    """It begins anew then."""
    with shown() as one:
        one.send("a=1")
        for number in ("\xb2", "9" * 5_000, "-1", ""):
            seen = f"{one.store.run}:{number}".encode("latin-1")
            with requests.get(
                f"{one.page.url}api/events",
                headers={"Last-Event-ID": seen},
                stream=True,
                timeout=100,
            ) as answer:
                assert answer.status_code == 200
                assert any(b"a=1" in line for line in answer.iter_lines())


@pytest.fixture(scope="module")
def local():
    with shown() as one:
        one.send("level=info msg=first", "a=b=c measure#x=4ms", hostname="shop")
        yield one


def first(one):
    """What the page itself has."""
    html = requests.get(one.page.url, timeout=100).text
    return json.loads(html.partition(' id="first">')[2].partition("</script>")[0])


def test_the_first_message_stands_in_the_page():
    """No text in it can end its element. The events go on behind it."""
    with shown() as one:
        one.send("a=1", "b=</script><!--", hostname="\xe9")
        found = first(one)
        assert (found["run"], found["message"]["items"]) == (one.store.run, one.items())
        one.send("c=3")
        url = f"{one.page.url}api/events?seen={found['id']}"
        with requests.get(url, stream=True, timeout=100) as answer:
            message = next(one for one in answer.iter_lines() if one.startswith(b'data: {"missed'))
        assert [item.get("x") for item in json.loads(message[6:])["items"]] == ["c=3", None]
        one.store.clear()
        assert first(one)["message"]["items"] == []


def test_of_many_items_the_page_has_the_last_lines(monkeypatch):
    """Of large ones, fewer."""
    monkeypatch.setattr("logplex_handler.receiver._events._FEW_ITEMS", 3)
    monkeypatch.setattr("logplex_handler.receiver._events._LATEST_LINES", 4)
    monkeypatch.setattr("logplex_handler.receiver.store._LATEST_BYTES", 9_000)
    with shown() as one:
        one.send("a=1", "b=2", "c=3")
        one.send("d=4", "e=5")
        one.post(b"x", 1)
        assert first(one) == {"run": one.store.run, "lines": one.lines()[1:]}
        one.send(*(f"n={number} x={'x' * 4_000}" for number in range(4)))
        assert first(one)["lines"] == one.lines()[-3:]


def get(local, path="", **headers):
    return requests.get(f"{local.page.url}{path}", headers=headers, timeout=100)


def events(local, count=1, **headers):
    """The first messages of the stream, and the identity of each."""
    found = []
    with requests.get(
        f"{local.page.url}api/events", headers=headers, stream=True, timeout=100
    ) as answer:
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        identity = None
        for line in answer.iter_lines():
            name, _, value = line.decode().partition(": ")
            if name == "id":
                identity = value
            elif name == "data" and identity:
                found.append((identity, json.loads(value)))
                if len(found) == count:
                    return found
    return found


@pytest.mark.parametrize(
    "path",
    ["", "page.js", "page.css", "static/main.js", "static/vendor/uplot/uPlot.iife.min.js"],
)
def test_the_page_and_its_files_are_there(local, path):
    """All of it comes from the package."""
    assert get(local, path).status_code == 200


@pytest.mark.parametrize("path", ["", "api/events", "api/lines/0", "page.js", "static/main.js"])
@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "evil.example:{port}"},
        {"Host": "127.0.0.1"},
        {"Origin": "https://evil.example"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
        {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors"},
    ],
)
def test_other_sites_get_nothing(local, path, headers):
    """Neither under another name for this machine, nor from a page of another origin."""
    answer = get(local, path, **{k: v.format(port=local.page.port) for k, v in headers.items()})
    assert answer.status_code == 403
    assert "first" not in answer.text


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Host": "localhost:{port}"},
        {"Origin": "http://127.0.0.1:{port}"},
        {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"},
        {"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate"},
    ],
)
def test_the_page_itself_gets_what_it_asks_for(local, headers):
    """And so does who writes an address into the browser."""
    formatted = {k: v.format(port=local.page.port) for k, v in headers.items()}
    assert get(local, "api/lines/0", **formatted).status_code == 200


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_link_elsewhere_leads_to_the_page_alone(local, site):
    """A search with a bad regular expression would keep the receiver busy."""
    headers = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "navigate"}
    assert get(local, **headers).status_code == 200
    assert get(local, "api/lines?q=/first/", **headers).status_code == 403


def test_nothing_but_the_page_may_run_in_it(local):
    """Every answer carries the policy, refusals included."""
    for answer in (get(local), get(local, "nothing"), get(local, Host="evil.example")):
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("path", ["static/../_page.py", "static/%2e%2e/_page.py", "docs", "api"])
def test_no_other_file_is_given_out(local, path):
    """Only files in the page's folder."""
    assert get(local, path).status_code == 404


def test_the_page_listens_on_loopback_alone(local):
    """Not on the machine's other addresses."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        # Nothing is sent: it only says which address would be used.
        try:
            probe.connect(("192.0.2.1", 9))
            address = probe.getsockname()[0]
        except OSError:
            address = "127.0.0.2"
    with pytest.raises(OSError, match="refused"):
        socket.create_connection((address, local.page.port), timeout=2)


def test_the_stream_has_lines_metrics_and_requests_in_order(local):
    """Each line with its metrics, and the request after its lines."""
    ((_, data),) = events(local)
    first, second, request = data["items"]
    assert (first["x"], first["s"], first["p"], first["v"]) == (
        "level=info msg=first",
        "shop",
        "web.1",
        6,
    )
    assert "w" not in first
    assert (second["w"], second["m"]) == (1, [["measure", "x", 4.0, "ms", ""]])
    assert (request["q"]["status"], request["q"]["frames"]) == (204, 2)
    assert [item["n"] for item in data["items"]] == [0, 1, 2]


def test_the_details_of_a_line_have_its_pairs_and_violations(local):
    """With the words of the explanation."""
    assert get(local, "api/lines/0").json()["pairs"] == [["level", "info"], ["msg", "first"]]
    known = get(local, "api/lines/1").json()
    assert known["pairs"] == []
    assert known["violations"][0]["rule"] == "pair.bare"
    assert known["violations"][0]["cure"].startswith("Quote")
    assert get(local, "api/lines/2").status_code == 404
    assert get(local, "api/lines/99").status_code == 404
    assert get(local, "api/lines/" + "9" * 5000).status_code == 404


def test_no_answer_holds_the_token(local):
    """The page has no use for it."""
    text = json.dumps(events(local)) + get(local, "api/lines/0").text
    assert local.receiver.token not in text


def test_a_page_that_comes_back_goes_on_where_it_was():
    """And one of another run begins anew."""
    with shown() as one:
        one.send("a=1")
        ((identity, _),) = events(one)
        one.send("a=2")
        ((_, data),) = events(one, **{"Last-Event-ID": identity})
        assert [item.get("x") for item in data["items"]] == ["a=2", None]
        ((_, data),) = events(one, **{"Last-Event-ID": "other:1"})
        assert data["items"][0]["x"] == "a=1"


def test_only_so_many_lines_are_kept():
    """The oldest are removed, and the page learns how many it missed."""
    with shown(keep=10) as one:
        for number in range(30):
            one.send(f"a={number}")
        items = one.items()
        assert 10 <= len(items) <= 20
        assert items[0]["n"] == 60 - len(items)
        gone = 30 - len(items) // 2
        assert one.store.dropped == (items[0]["n"], gone, gone)
        assert one.store.details(0) is None


def test_streams_are_told_apart_by_hostname_and_token():
    """Tokens that share a hostname are streams of their own; no whole token is shown."""
    with shown(tokens=["t.first-stream-1a2b", "t.other-stream-3c4d", "t.short"]) as one:
        for token in one.receiver.tokens:
            requests.post(
                one.receiver.url_for(token),
                data=body("a=1"),
                headers={"Content-Type": "application/logplex-1"},
                timeout=100,
            )
        items = one.items()
        assert [item["s"] for item in items if "x" in item] == ["shop", "shop…3c4d", "shop…3"]


def test_the_end_does_not_wait_for_open_pages():
    """An open page is asked to come back later."""
    with shown() as one:
        one.send("a=1")
        listening = requests.get(f"{one.page.url}api/events", stream=True, timeout=100)
        next(listening.iter_lines())
    listening.close()
    with pytest.raises(requests.ConnectionError):
        get(one)
