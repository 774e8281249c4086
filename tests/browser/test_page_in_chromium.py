"""The page as a person uses it: what it shows, and how it reacts to clicks and keys."""

from __future__ import annotations

import re
import statistics

import pytest
import requests
from playwright.sync_api import expect

from tests.browser.rows import ROWS, opened, texts
from tests.logs import wait_until
from tests.pace import stopwatch
from tests.receiver.page import body, shown
from tests.servers import free_port


def test_lines_appear_as_they_arrive(tab, local):
    """Before the first there is a word on how to send one."""
    opened(tab, local, rows=False)
    expect(tab.get_by_text("Nothing has arrived yet")).to_be_visible()
    expect(tab.locator("#status")).to_have_text("live")
    local.send("level=info msg=first", process="web.1")
    expect(tab.locator(ROWS)).to_have_count(1)
    local.send("level=info msg=second", process="worker.1")
    shown_texts = tab.locator(f"{ROWS} .text")
    expect(shown_texts).to_have_text(["level=info msg=first", "level=info msg=second"])
    expect(tab.locator(".row .name").nth(1)).to_have_text("app[worker.1]")
    expect(tab.get_by_text("Nothing has arrived yet")).to_be_hidden()


def test_the_first_lines_wait_for_no_further_request(tab, local):
    """Also if there are so many that the page has only the last ones yet."""
    local.send("n=0 measure#x=1")
    tab.route("**/api/events*", lambda route: None)
    opened(tab, local)
    assert texts(tab) == ["n=0 measure#x=1"]
    tab.locator("#tab-metrics").click()
    expect(tab.locator("#plots canvas")).to_be_visible()
    local.send(*[f"n={number}" for number in range(1, 2_001)])
    tab.goto("about:blank")
    opened(tab, local, at="#q=n=*0")
    assert texts(tab)[-1] == "n=2000"
    expect(tab.get_by_text("Nothing has arrived yet")).to_be_hidden()
    tab.unroute("**/api/events*")
    tab.reload()
    expect(tab.locator("#status")).to_have_text("live")
    expect(tab.locator("#match-count")).to_have_text("201 of 2,001")


def test_two_customers_are_told_apart(tab, local):
    """A row has the name of its stream as soon as there are several."""
    local.send("msg=a", hostname="acme")
    opened(tab, local)
    stream = tab.locator(f"{ROWS} .stream")
    expect(stream.first).to_be_hidden()
    local.send("msg=b", hostname="globex")
    expect(stream).to_have_text(["acme", "globex"])
    expect(stream.first).to_be_visible()
    tab.locator(ROWS).nth(1).click()
    expect(tab.locator("#detail .title .stream")).to_have_text("globex")


def test_the_parts_of_a_long_line_are_shown_joined(tab, local):
    """As one row; its details show each packet too."""
    parts = ['level=info part=1/2 msg="a b"', 'level=info part=2/2 msg="c d" n=1']
    local.send(*parts)
    opened(tab, local)
    expect(tab.locator(f"{ROWS} .text")).to_have_text(['level=info msg="a bc d" n=1'])
    expect(tab.locator(f"{ROWS} .note")).to_have_text("2 packets")
    tab.locator(ROWS).click()
    expect(tab.locator("#detail h3").nth(2)).to_have_text("Sent in 2 packets")
    assert tab.locator("#detail .raw").all_inner_texts()[1:] == parts


def test_filters_leave_what_passes_all_of_them(tab, local):
    """By text, stream, process, level and violations; new lines are held to them too."""
    local.send("msg=apple", "msg=banana", process="web.1", hostname="shop")
    local.send("msg=APPLE", process="worker.1", hostname="other", priority=187)
    local.send("a=b=c", process="worker.1", hostname="other")
    opened(tab, local)
    tab.fill("#search", "apple")
    expect(tab.locator(ROWS)).to_have_count(2)
    expect(tab.locator("#match-count")).to_have_text("2 of 4")
    assert tab.locator(f"{ROWS} mark").all_inner_texts() == ["apple", "APPLE"]
    tab.locator("#streams-button").click()
    tab.get_by_role("button", name="Only lines of shop").click()
    tab.keyboard.press("Escape")
    expect(tab.locator(f"{ROWS} .text")).to_have_text(["msg=apple"])
    local.send("msg=pineapple", hostname="shop")
    expect(tab.locator(ROWS)).to_have_count(2)
    expect(tab.locator("#search")).to_have_value("apple stream=shop")
    tab.fill("#search", "apple")
    tab.select_option("#level", "3")
    expect(tab.locator(f"{ROWS} .text")).to_have_text(["msg=APPLE"])
    tab.select_option("#level", "7")
    tab.select_option("#process", "worker.1")
    expect(tab.locator("#search")).to_have_value("apple process=worker.1")
    tab.fill("#search", "process=worker.1")
    expect(tab.locator(f"{ROWS} .text")).to_have_text(["msg=APPLE", "a=b=c"])
    tab.check("#only-violations")
    expect(tab.locator(f"{ROWS} .text")).to_have_text(["a=b=c"])
    expect(tab.locator("#search")).to_have_value("process=worker.1 violations>0")
    tab.fill("#search", "nowhere")
    expect(tab.get_by_text("No line matches")).to_be_visible()


def test_a_click_shows_pairs_and_explains_violations(tab, local):
    """The line's parts, and how to mend each violation."""
    local.send('source=us msg="a \\"b\\"\\nc" order_id=42', "measure#x=1e3ms")
    opened(tab, local)
    tab.locator(ROWS).nth(0).click()
    detail = tab.locator("#detail")
    expect(detail.locator("table").first).to_contain_text("order_id")
    cells = detail.locator("table").first.locator("td").all_inner_texts()
    assert cells[::3] == ["source", "msg", "order_id"]
    assert cells[1::3] == ["us", 'a "b"\nc', "42"]
    bad = tab.locator(ROWS).nth(1)
    expect(bad).to_contain_text("1 violation")
    bad.click()
    expect(detail).to_contain_text("1e3 is 1")
    expect(detail).to_contain_text("Write fixed point with at most six decimals.")
    tab.keyboard.press("Escape")
    expect(detail).to_be_hidden()


def test_everything_can_be_done_with_the_keyboard(tab, local):
    """Search, move, open, close, and change views."""
    local.send(*[f"msg=line n={number}" for number in range(50)])
    opened(tab, local)
    tab.keyboard.press("/")
    expect(tab.locator("#search")).to_be_focused()
    tab.keyboard.type("n=1*")
    tab.keyboard.press("Enter")
    expect(tab.locator("#list")).to_be_focused()
    tab.keyboard.press("Home")
    tab.keyboard.press("ArrowDown")
    chosen = tab.locator('.row[aria-selected="true"]')
    expect(chosen).to_contain_text("n=10")
    tab.keyboard.press("Enter")
    expect(tab.locator("#detail")).to_contain_text("msg=line n=10")
    tab.keyboard.press("End")
    expect(tab.locator("#detail")).to_contain_text("msg=line n=19")
    tab.keyboard.press("Escape")
    expect(tab.locator("#detail")).to_be_hidden()
    # As in vi.
    for key, number in (("g", 1), ("j", 10), ("j", 11), ("k", 10)):
        tab.keyboard.press(key)
        expect(tab.locator('.row[aria-selected="true"]')).to_contain_text(f"n={number}")
    tab.keyboard.press("2")
    expect(tab.locator("#metrics")).to_be_visible()
    expect(tab.locator("#tab-metrics")).to_be_focused()
    tab.keyboard.press("ArrowRight")
    expect(tab.locator("#requests")).to_be_visible()
    tab.keyboard.press("1")
    expect(tab.locator("#lines")).to_be_visible()


NASTY = [
    "<script>window.hacked = 1</script>",
    "<img src=x onerror=window.hacked=1>",
    'msg="<b onmouseover=alert(1)>" </pre></div><iframe src=/>',
    "\x1b[31mred\x1b]0;title\x07",
    "javascript:window.hacked=1",
    "\u202egnp.\u200fexe\u061c",
    "&lt;b&gt; ${1+1} {{7*7}}",
]


def test_whatever_a_line_holds_is_shown_as_text(tab, local):
    """HTML, scripts, escape codes: in the row, in the details, in names and in metrics."""
    evil = "<img/src=x/onerror=window.hacked=1>"
    local.post(
        b"".join(body(text, hostname="<i>host</i>", process="<b>p</b>") for text in NASTY), 7
    )
    local.send(f"source=<u>s</u> count#<b>x</b>=1 measure#{evil[:9]}=1ms")
    opened(tab, local)
    expect(tab.locator(ROWS)).to_have_count(8)
    assert texts(tab)[:3] == NASTY[:3]
    assert texts(tab)[3] == "\\u001b[31mred\\u001b]0;title\\u0007"
    assert texts(tab)[5] == "\\u202egnp.\\u200fexe\\u061c"
    for number in range(8):
        tab.locator(ROWS).nth(number).click()
        tab.wait_for_selector("#detail:not([hidden])")
    tab.locator("#streams-button").click()
    expect(tab.locator("#streams .name")).to_have_text(["<i>host</i>", "shop"])
    tab.get_by_role("button", name="Only lines of <i>host</i>").click()
    expect(tab.locator(ROWS)).to_have_count(7)
    tab.keyboard.press("Escape")
    tab.fill("#search", "")
    tab.keyboard.press("Escape")
    for key in ("2", "3", "1"):
        tab.keyboard.press(key)
        tab.wait_for_timeout(50)
    assert tab.evaluate("window.hacked") is None
    assert (
        tab.locator("main script, main img, main iframe, main i:not(.legend i), main u").count()
        == 0
    )


def test_a_field_of_ten_million_bytes_does_no_harm(tab, local):
    """It is refused whole or comes in packets; either way the page goes on."""
    local.post(b"10000000 " + b"x" * 7_000_000, 1)
    local.send("x" * 9_900)
    local.send("msg=after")
    opened(tab, local)
    expect(tab.locator(ROWS)).to_have_count(2)
    assert len(texts(tab)[0]) < 2_000
    tab.locator(ROWS).nth(0).click()
    expect(tab.locator("#detail .raw")).to_contain_text("x" * 9_900)
    tab.keyboard.press("3")
    expect(tab.locator("#request-table")).to_contain_text("2 violations")


def test_a_page_too_many_is_told(tab, monkeypatch):
    """Instead of trying for ever."""
    monkeypatch.setattr("logplex_handler.receiver._api._MAX_PAGES", 0)
    with shown() as one:
        opened(tab, one, rows=False)
        expect(tab.locator("#status")).to_have_text("refused: close other pages and reload")
    # Chromium's own word on it.
    tab.complaints[:] = [said for said in tab.complaints if "503" not in said]


def test_request_health_shows_batches_retries_and_errors(tab, local):
    """Tiles, plots and a table with every refused request explained."""
    local.receiver.fail_next(503)
    assert local.send("msg=a", "msg=b") == 503
    assert local.send("msg=a", "msg=b") == 204
    assert local.post(body("msg=c"), 2) == 400
    opened(tab, local)
    tab.keyboard.press("3")
    expect(tab.locator("#request-table .answer")).to_have_text(["400", "204", "503"])
    expect(tab.locator("#tiles dd").first).to_have_text("3")
    tiles = dict(
        zip(
            tab.locator("#tiles dt").all_inner_texts(),
            tab.locator("#tiles dd").all_inner_texts(),
            strict=True,
        )
    )
    assert tiles["requests"] == "3"
    assert tiles["packets taken"] == "2"
    assert tiles["median batch"] == "2 packets"
    assert (tiles["retries"], tiles["refused"], tiles["on purpose"]) == ("1", "1", "1")
    tab.locator("#request-table summary").first.click()
    expect(tab.locator("#request-table .violation")).to_contain_text(
        "Set Logplex-Msg-Count to the number of frames in the body"
    )


def test_a_hundred_thousand_lines_stay_smooth(tab, local):
    """Few rows exist; scrolling and searching answer within a frame or some."""
    for start in range(0, 100_000, 10_000):
        local.send(*[f"level=info msg=line n={start + n}" for n in range(10_000)])
    opened(tab, local)
    expect(tab.locator("#count-lines")).to_have_text("100,000")
    expect(tab.locator(ROWS).last).to_contain_text("n=99999")
    assert tab.locator(".row").count() < 80
    # The times between two frames while it scrolls all the way and while it rests, in turns: a busy
    # machine makes both longer.
    scrolling, resting = tab.evaluate(
        """async () => {
            const list = document.querySelector("#list");
            const gaps = [[], []];
            for (let step = 0; step <= 120; step += 1) {
                const before = performance.now();
                if (step % 2 === 0) list.scrollTop = list.scrollHeight * step / 120;
                await new Promise(requestAnimationFrame);
                gaps[step % 2].push(performance.now() - before);
            }
            return gaps;
        }"""
    )
    # A smooth page has the same, 17 ms; one that draws every line has seconds.
    assert statistics.median(scrolling) < 6 * statistics.median(resting)
    with stopwatch() as watch:
        tab.fill("#search", '"n=4242"')
        expect(tab.locator("#match-count")).to_have_text("11 of 100,000")
        assert watch.seconds < 3
    tab.fill("#search", "")
    expect(tab.locator("#match-count")).to_have_text("")
    tab.evaluate("document.querySelector('#list').scrollTop = 50000 * 22")
    middle = tab.locator(ROWS).filter(has_text="n=50005")
    expect(middle).to_be_visible()
    # A search whose clock runs fast is interrupted at each chance. What the reader sees stays.
    tab.evaluate(
        """() => {
            let now = 0;
            performance.now = () => (now += 1000);
            window.counts = [];
            const clear = CanvasRenderingContext2D.prototype.clearRect;
            CanvasRenderingContext2D.prototype.clearRect = function (...given) {
                window.counts.push(document.querySelector("#match-count").textContent);
                clear.apply(this, given);
            };
        }"""
    )
    for query, count in (("n=5*", "11,111"), ("n>=50000", "50,000"), ("n>=50000 -n=*5", "45,000")):
        tab.fill("#search", query)
        expect(tab.locator("#match-count")).to_have_text(f"{count} of 100,000")
        shown = tab.locator(ROWS).filter(has_text=re.compile(r"n=500\d[0-46-9]$"))
        expect(shown.first).to_be_in_viewport()
    # The time bar waits for the end of a search.
    tab.wait_for_function("() => window.counts.length")
    assert not [count for count in tab.evaluate("window.counts") if "+" in count]


def test_a_query_shows_what_is_seen_of_its_result_first(tab, local):
    """Rows out of sight come in the next frame; the address, when the reader stops writing."""
    local.send(*[f"msg=line n={number}" for number in range(500)])
    opened(tab, local)
    expect(tab.locator("#status")).to_have_text("live")
    rows, height = tab.evaluate(
        """async () => {
            window.written = [];
            const replace = history.replaceState.bind(history);
            history.replaceState = (state, unused, address) => {
                window.written.push(address);
                replace(state, unused, address);
            };
            const box = document.querySelector("#search");
            for (const text of ["l", "li", "lin", "line"]) {
                box.value = text;
                box.dispatchEvent(new Event("input", { bubbles: true }));
            }
            await new Promise(requestAnimationFrame);
            const rows = document.querySelectorAll(".row").length;
            return [rows, document.querySelector("#list").clientHeight];
        }"""
    )
    seen = -(-height // 22) + 1
    assert 0 < rows <= seen
    tab.wait_for_function("seen => document.querySelectorAll('.row').length > seen", arg=seen)
    tab.wait_for_function("() => window.written.length")
    assert tab.evaluate("window.written") == ["#q=line"]
    # A link has all of it at once.
    link = tab.evaluate(
        """async () => {
            navigator.clipboard.writeText = async (text) => { window.link = text; };
            const box = document.querySelector("#search");
            box.value = "other";
            box.dispatchEvent(new Event("input", { bubbles: true }));
            document.querySelector("#copy-link").click();
            return window.link;
        }"""
    )
    assert link.endswith("#q=other")


def test_a_scroll_that_begins_slowly_ends_following(tab, local):
    """With the first pixel: the next frame would undo it, and with it all of the scroll."""
    local.send(*[f"n={number}" for number in range(200)])
    opened(tab, local)
    expect(tab.locator(ROWS).last).to_have_text(re.compile("n=199"))
    tab.locator("#list").evaluate("(list) => { list.scrollTop -= 1; }")
    expect(tab.locator("#follow")).to_have_attribute("aria-pressed", "false")
    tab.locator("#list").evaluate("(list) => { list.scrollTop += 1; }")
    expect(tab.locator("#follow")).to_have_attribute("aria-pressed", "true")


def test_it_follows_new_lines_until_it_is_scrolled_up(tab, local):
    """And again at the press of a button."""
    local.send(*[f"n={number}" for number in range(200)])
    opened(tab, local)
    expect(tab.locator(ROWS).last).to_have_text(re.compile("n=199"))
    tab.locator("#list").hover()

    def is_scrolled_up():
        # A busy browser knows nothing that it could scroll until it has drawn it.
        tab.mouse.wheel(0, -1000)
        return tab.locator("#follow").get_attribute("aria-pressed") == "false"

    assert wait_until(is_scrolled_up)
    local.send("n=new")
    expect(tab.locator("#newer")).to_be_visible()
    expect(tab.locator(ROWS).filter(has_text="n=new")).to_have_count(0)
    tab.locator("#newer").click()
    expect(tab.locator(ROWS).filter(has_text="n=new")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_light_and_dark_follow_the_system_and_the_reader(tab, local, scheme):
    """The reader's choice holds for the next visit."""
    tab.emulate_media(color_scheme=scheme)
    opened(tab, local, rows=False)
    other = {"light": "dark", "dark": "light"}[scheme]
    expect(tab.locator("html")).to_have_attribute("data-theme", scheme)
    tab.locator("#theme").click()
    tab.reload()
    expect(tab.locator("html")).to_have_attribute("data-theme", other)


def test_a_receiver_that_starts_again_is_found_again(tab):
    """The page says that it is gone, and shows only the new run afterwards."""
    # The system gives it to nobody else meanwhile.
    port = free_port()
    with shown(page_port=port) as first:
        first.send("msg=old")
        opened(tab, first)
    expect(tab.locator("#status")).to_contain_text("gone")
    tab.complaints.clear()
    from logplex_handler.receiver.page import Page

    with shown() as second, Page(second.store, port):
        second.send("msg=new")
        expect(tab.locator("#status")).to_have_text("live")
        expect(tab.locator(f"{ROWS} .text")).to_have_text(["msg=new"])
        tab.goto("about:blank")
        tab.complaints.clear()


def test_refused_requests_are_explained_while_nothing_has_arrived(tab, local):
    """The beginner's case: something is sent, and no line of it is taken."""
    opened(tab, local, rows=False)
    expect(tab.locator("#refused")).to_be_hidden()
    assert local.post(body("msg=a"), 2) == 400
    empty = tab.locator("#empty")
    expect(empty).to_contain_text("no line was taken")
    expect(empty.locator(".answer")).to_have_text("400")
    expect(empty).to_contain_text("Logplex-Msg-Count is 2, but the body has 1 frame")
    expect(empty).to_contain_text("Set Logplex-Msg-Count to the number of frames in the body")
    local.receiver.tokens = ("t.another-one",)
    url = local.receiver.url_for("t.one-that-is-unknown")
    assert requests.post(url, data=body("msg=a"), timeout=100).status_code == 401
    expect(empty.locator(".answer")).to_have_text(["401", "400"])
    expect(empty).to_contain_text("unknown or rotated token")
    local.send("msg=b")
    expect(empty).to_be_hidden()


def test_a_chosen_line_stays_in_sight_when_the_search_is_cleared(tab, local):
    """With the lines around it, which is what one looks for."""
    local.send(*[f"msg=line n={number}" for number in range(2_000)])
    opened(tab, local)
    tab.fill("#search", "n=1500")
    expect(tab.locator("#match-count")).to_have_text("1 of 2,000")
    tab.locator(ROWS).first.click()
    tab.fill("#search", "")
    chosen = tab.locator('.row[aria-selected="true"]')
    expect(chosen).to_be_in_viewport()
    expect(chosen).to_contain_text("n=1500")
    expect(tab.locator(ROWS).filter(has_text="n=1497")).to_be_in_viewport()
    expect(tab.locator(ROWS).filter(has_text="n=1503")).to_be_in_viewport()


def test_one_of_a_kind_is_singular(tab, local):
    """A batch of one packet, for example."""
    local.send("msg=a")
    opened(tab, local)
    tab.keyboard.press("3")
    expect(tab.locator("#tiles dd").nth(2)).to_have_text("1 packet")


def test_times_of_any_form_stand_in_one_column(tab, local):
    """In UTC, with the date of another day; the time as sent is in the row's title."""
    for written in ("2026-11-21T12:00:00Z", "2026-11-21T14:00:01.5+02:00", "whenever"):
        local.post(retimed("msg=a", written), 1)
    local.post(retimed("msg=a", "2026-11-22T00:00:00.000000+00:00"), 1)
    opened(tab, local)
    times = tab.locator(f"{ROWS} .time")
    expect(times).to_have_text(["12:00:00.000", "12:00:01.500", "whenever", "11-22 00:00:00.000"])
    expect(times.nth(1)).to_have_attribute("title", "2026-11-21T14:00:01.5+02:00")


def retimed(text, written):
    """A frame whose time is written like this."""
    packet = body(text).partition(b" ")[2]
    packet = packet.replace(b"2026-11-21T12:00:00.000000+00:00", written.encode())
    return b"%d %b" % (len(packet), packet)


def test_the_address_holds_what_is_shown(tab, local):
    """The view, the filters and the chosen line: for a reload, for going back and for others."""
    local.send(*[f"msg=line n={number}" for number in range(50)], process="web.1")
    local.send("msg=other sample#depth=4", process="worker.1")
    opened(tab, local)
    tab.fill("#search", "n=4*")
    tab.select_option("#process", "web.1")
    expect(tab.locator("#match-count")).to_have_text("11 of 51")
    tab.locator(ROWS).nth(1).click()
    expect(tab.locator("#detail")).to_contain_text("n=40")
    tab.keyboard.press("2")
    expect(tab.locator("#metrics")).to_be_visible()
    tab.go_back()
    expect(tab.locator("#lines")).to_be_visible()
    for again in (tab.reload, lambda: tab.goto(tab.url)):
        again()
        tab.wait_for_selector(ROWS)
        expect(tab.locator("#search")).to_have_value("n=4* process=web.1")
        expect(tab.locator("#process")).to_have_value("web.1")
        expect(tab.locator("#match-count")).to_have_text("11 of 51")
        expect(tab.locator('.row[aria-selected="true"]')).to_contain_text("n=40")
    tab.keyboard.press("3")
    tab.reload()
    expect(tab.locator("#requests")).to_be_visible()


def test_going_back_undoes_a_choice(tab, local):
    """The last filter goes; what was written before it stays, however fast both came."""
    local.send("msg=line n=1", "msg=line n=2", process="web.1")
    local.send("msg=line n=3", process="worker.1")
    opened(tab, local)
    box = tab.locator("#search")
    tab.evaluate(
        """() => {
            const put = (selector, value) => {
                const field = document.querySelector(selector);
                field.value = value;
                field.dispatchEvent(new Event("input", { bubbles: true }));
            };
            put("#search", "line");
            put("#process", "web.1");
        }"""
    )
    tab.locator(ROWS).last.click()
    tab.locator("#detail").get_by_role("button", name="No lines with n=2").click()
    expect(box).to_have_value("line process=web.1 -n=2")
    expect(tab.locator(ROWS)).to_have_count(1)
    for query, count in (("line process=web.1", 2), ("line", 3)):
        tab.go_back()
        expect(box).to_have_value(query)
        expect(tab.locator(ROWS)).to_have_count(count)
    tab.go_forward()
    expect(box).to_have_value("line process=web.1")


def test_going_back_undoes_what_was_written(tab, local):
    """A query at a time, not a letter; the page stays."""
    local.send("msg=line n=1", "msg=line n=2", "msg=other n=3")
    opened(tab, local)
    box = tab.locator("#search")
    for query, count in (("line", 2), ("n=3", 1)):
        tab.keyboard.press("/")
        tab.keyboard.type(query)
        tab.keyboard.press("Enter")
        expect(tab.locator(ROWS)).to_have_count(count)
    for query, count in (("line", 2), ("", 3)):
        tab.go_back()
        expect(box).to_have_value(query)
        expect(tab.locator(ROWS)).to_have_count(count)
    tab.go_forward()
    expect(box).to_have_value("line")


def test_every_violation_can_be_reached(tab, local):
    """Those in lines at the first click, those of requests at the second."""
    local.post(body("msg=a"), 2)
    for number in range(210):
        local.send(f"n={number}")
    local.send("a=b=c")
    opened(tab, local)
    chip = tab.locator("#violations")
    expect(chip).to_have_text("⚠ 2 violations")
    chip.click()
    expect(tab.locator(f"{ROWS} .text")).to_have_text(["a=b=c"])
    chip.click()
    expect(tab.locator("#requests")).to_be_visible()
    expect(tab.locator("#request-table .answer")).to_have_text(["400"])
    tab.reload()
    expect(tab.locator("#request-table .answer")).to_have_text(["400"])
    tab.uncheck("#only-bad")
    expect(tab.locator("#request-count")).to_have_text("the last 200 of 212")
