"""The view of lines: streams, following, pausing, clearing, copying, saving, and the time bar."""

from __future__ import annotations

import json
import re
from pathlib import Path

from playwright.sync_api import expect

from logplex_handler.receiver.page import Page
from tests.browser.rows import ROWS, opened
from tests.receiver.page import body, shown
from tests.servers import free_port


def numbered(local, first, count, **options):
    local.send(*[f"msg=line n={number}" for number in range(first, first + count)], **options)


def test_streams_have_colours_of_their_own_and_are_chosen_together(tab, local):
    """More than a dozen are told apart; the query names those that are shown."""
    names = [f"shop{number:02}" for number in range(14)]
    for name in names:
        local.send("msg=a", hostname=name)
    opened(tab, local)
    expect(tab.locator(ROWS)).to_have_count(14)
    colours = tab.locator(f"{ROWS} .stream").evaluate_all(
        "found => found.map((one) => getComputedStyle(one).color)"
    )
    assert len(set(colours)) == 14
    tab.locator("#streams-button").click()
    menu = tab.locator("#streams-menu")
    menu.get_by_role("checkbox").nth(3).click()
    expect(tab.locator("#search")).to_have_value("-stream=shop03")
    expect(tab.locator("#streams-button")).to_have_text("Streams 13 of 14")
    menu.get_by_role("button", name="Only lines of shop05").click()
    menu.get_by_role("checkbox").nth(7).click()
    expect(tab.locator("#search")).to_have_value("stream=shop05,shop07")
    assert tab.locator(f"{ROWS} .stream").all_inner_texts() == ["shop05", "shop07"]
    # The menu has the focus still, although its choices change with every line.
    local.send("msg=b", hostname="shop07")
    expect(tab.locator(ROWS)).to_have_count(3)
    expect(menu.get_by_role("checkbox").nth(7)).to_be_focused()
    menu.get_by_role("button", name="all streams").click()
    expect(tab.locator(ROWS)).to_have_count(15)
    # One of many is found by a part of its name.
    seeker = menu.get_by_role("searchbox", name="Find a stream")
    seeker.fill("OP1")
    expect(menu.locator("li")).to_have_count(4)
    seeker.press("Enter")
    expect(tab.locator("#search")).to_have_value("stream=*OP1*")
    expect(tab.locator(ROWS)).to_have_count(4)
    seeker.fill("nobody")
    expect(menu).to_contain_text("No stream has this in its name.")
    seeker.fill("")
    tab.keyboard.press("Escape")
    # If the choice hides all lines, the page says so.
    tab.fill("#search", "stream=nobody msg=*")
    expect(tab.locator("#no-match")).to_contain_text("stream=nobody hides all 14 streams: shop00,")
    tab.get_by_role("button", name="Show all streams").click()
    expect(tab.locator("#search")).to_have_value("msg=*")
    expect(tab.locator(ROWS)).to_have_count(15)


def test_names_of_streams_without_end_take_bounded_memory(tab, local):
    """Those of the first ones are kept; others have a colour without being kept."""
    numbered(local, 0, 1)
    opened(tab, local)
    largest, hues, again = tab.evaluate(
        """async () => {
            const { hueOf } = await import("/static/colours.js");
            const names = Array.from({ length: 500 }, (_, index) => `app-${index}`);
            let largest = 0;
            const { set } = Map.prototype;
            Map.prototype.set = function (key, value) {
                set.call(this, key, value);
                if (String(key).startsWith("app-")) largest = Math.max(largest, this.size);
                return this;
            };
            const hues = names.map((name) => hueOf("stream", name));
            return [largest, hues, names.map((name) => hueOf("stream", name))];
        }"""
    )
    assert largest < 100
    assert hues == again
    assert len(set(hues)) == len(set(hues[:24])) == 24


def test_a_stream_keeps_its_colour_when_the_page_is_opened_again(tab, local):
    """Also if there is so much that the last lines are shown before the others."""
    names = ["shop", "billing", "search", "mailer", "acme-blog", "docs"]

    def colours():
        opened(tab, local)
        expect(tab.locator("#status")).to_have_text("live")
        found = tab.locator(f"{ROWS} .stream").evaluate_all(
            "found => found.map((one) => [one.textContent, getComputedStyle(one).color])"
        )
        assert {name for name, _ in found} == set(names)
        return dict(found)

    for name in names:
        local.send("msg=a", hostname=name)
    first = colours()
    for name in reversed(names):
        local.send("msg=b", hostname=name)
    numbered(local, 0, 20, hostname="docs")
    for name in names[1:] + names[:1]:
        local.send("msg=c", hostname=name)
    assert colours() == first
    numbered(local, 0, 2_000, hostname="docs")
    for name in names[3:] + names[:3]:
        local.send("msg=d", hostname=name)
    assert colours() == first


def test_a_customers_view_is_that_of_heroku_logs(tab, local):
    """With the times as sent, packet by packet, and without what nobody sees."""
    local.send("level=info msg=first", hostname="acme")
    local.send("msg=of-another", hostname="globex")
    long = ['level=info part=1/2 msg="a b"', 'level=info part=2/2 msg="c d"']
    local.send(*long, hostname="acme", second=1)
    hidden = body("msg=hidden", hostname="acme").replace(b" - - msg", b" - msg")
    size, _, packet = hidden.partition(b" ")
    local.post(b"%d %b" % (int(size) - 2, packet), 1)
    opened(tab, local)
    expect(tab.locator(f"{ROWS}.unseen .note")).to_contain_text("customers do not see this")
    tab.locator("#streams-button").click()
    tab.get_by_role("button", name="What the customer of acme sees").click()
    expect(tab.locator(ROWS)).to_have_count(3)
    head = "2026-11-21T12:00:0{}.000000+00:00 app[web.1]: "
    lines = tab.locator(ROWS).evaluate_all(
        "found => found.map((row) => [...row.children].map((one) => one.textContent).join(' '))"
    )
    assert lines == [
        head.format(0) + "level=info msg=first",
        head.format(1) + long[0],
        head.format(1) + long[1],
    ]
    assert "customer=1" in tab.url
    tab.get_by_role("button", name="As the page shows them").click()
    expect(tab.locator(ROWS)).to_have_count(3)
    expect(tab.locator(f"{ROWS} .time").first).to_have_text("12:00:00.000")


def test_what_is_selected_and_focused_stays_while_lines_arrive(tab, local):
    """A row keeps its element; choosing text does not open the details."""
    numbered(local, 0, 3)
    opened(tab, local)
    box = tab.locator(f"{ROWS} .text").nth(1).bounding_box()
    tab.mouse.move(box["x"] + 2, box["y"] + 10)
    tab.mouse.down()
    tab.mouse.move(box["x"] + 60, box["y"] + 10, steps=4)
    tab.mouse.up()
    selected = tab.evaluate("String(getSelection())")
    assert selected
    expect(tab.locator("#detail")).to_be_hidden()
    for first in (3, 10):
        numbered(local, first, 3)
    expect(tab.locator(ROWS)).to_have_count(9)
    assert tab.evaluate("String(getSelection())") == selected
    tab.evaluate("getSelection().removeAllRanges()")
    tab.locator(ROWS).nth(1).click()
    copied = tab.locator("#detail").get_by_role("button", name="Copy line")
    copied.focus()
    numbered(local, 20, 1)
    expect(tab.locator(ROWS)).to_have_count(10)
    expect(copied).to_be_focused()


def test_following_goes_on_when_the_chosen_line_is_let_go(tab, local):
    """Until then, the new lines are counted."""
    numbered(local, 0, 100)
    opened(tab, local)
    tab.locator(ROWS).last.click()
    expect(tab.locator("#follow")).to_have_attribute("aria-pressed", "false")
    numbered(local, 100, 12)
    newer = tab.locator("#newer")
    expect(newer).to_have_text("↓ 12 new lines")
    numbered(local, 112, 1)
    expect(newer).to_have_text("↓ 13 new lines")
    tab.keyboard.press("Escape")
    expect(tab.locator("#follow")).to_have_attribute("aria-pressed", "true")
    expect(tab.locator(ROWS).last).to_contain_text("n=112")
    # So it does at the end of the list.
    tab.locator("#list").hover()
    tab.mouse.wheel(0, -400)
    expect(tab.locator("#follow")).to_have_attribute("aria-pressed", "false")
    tab.mouse.wheel(0, 10_000)
    expect(tab.locator("#follow")).to_have_attribute("aria-pressed", "true")


def test_a_restart_sets_the_lines_aside_and_keeps_them_readable(tab):
    """A click works while the receiver is away, and nothing is wiped in silence."""
    # The system gives it to nobody else meanwhile.
    port = free_port()
    with shown(page_port=port) as first:
        first.send("msg=old n=1", "msg=older n=2")
        opened(tab, first)
    expect(tab.locator("#status")).to_contain_text("gone")
    tab.locator(ROWS).first.click()
    detail = tab.locator("#detail")
    expect(detail).to_contain_text("The receiver does not answer")
    expect(detail.locator("table").first).to_contain_text("old")
    tab.fill("#search", "n=1")
    with shown() as second, Page(second.store, port):
        second.send("msg=new")
        expect(tab.locator("#no-match")).to_be_visible()
        notice = tab.locator("[data-notice=aside]")
        expect(notice).to_contain_text("2 lines of the run before are set aside, and the query")
        tab.get_by_role("button", name="Show all lines").click()
        expect(tab.locator(f"{ROWS} .text")).to_have_text(["msg=new"])
        notice.get_by_role("button", name="Show them").click()
        expect(tab.locator(f"{ROWS} .text")).to_have_text(
            ["msg=old n=1", "msg=older n=2", "msg=new"]
        )
        tab.locator(ROWS).first.click()
        expect(detail).to_contain_text("an earlier run of the receiver")
        tab.goto("about:blank")
        # Chromium's own words on the receiver that was away.
        tab.complaints.clear()


def test_what_was_missed_and_what_senders_dropped_is_said(tab):
    """The receiver's and the sender's losses."""
    with shown(keep=10) as local:
        for first in range(30):
            numbered(local, first, 1)
        local.send("level=warning logger=logplex_handler count#logplex_handler.dropped=17")
        opened(tab, local)
        expect(tab.locator("[data-notice=missed]")).to_contain_text(
            re.compile(r"keeps only the latest: \d+ lines and \d+ requests")
        )
        dropped = tab.locator("#dropped")
        expect(dropped).to_have_text("17 dropped")
        dropped.click()
        expect(tab.locator(ROWS)).to_have_count(1)
        tab.get_by_role("button", name="Dismiss").click()
        expect(tab.locator("[data-notice=missed]")).to_have_count(0)
        tab.goto("about:blank")


def test_clearing_can_be_undone(tab, local):
    """By its notice or a key, also after a reload; lines that came since stand behind."""
    numbered(local, 0, 3)
    opened(tab, local)
    expect(tab.locator(ROWS)).to_have_count(3)
    tab.keyboard.press("c")
    expect(tab.locator(ROWS)).to_have_count(0)
    expect(tab.locator("[data-notice=aside]")).to_contain_text("3 lines cleared")
    expect(tab.locator("#empty h2")).to_have_text("Nothing has arrived since")
    expect(tab.locator("#count-lines")).to_have_text("0")
    numbered(local, 3, 1)
    expect(tab.locator(f"{ROWS} .text")).to_have_text(["msg=line n=3"])
    tab.keyboard.press("u")
    everything = [f"msg=line n={number}" for number in range(4)]
    expect(tab.locator(f"{ROWS} .text")).to_have_text(everything)
    expect(tab.locator("#count-lines")).to_have_text("4")
    expect(tab.locator("[data-notice=aside]")).to_have_count(0)
    tab.locator("#options-button").click()
    tab.get_by_role("button", name="Clear the lines").click()
    tab.keyboard.press("Escape")
    expect(tab.locator(ROWS)).to_have_count(0)
    tab.get_by_role("button", name="Undo").click()
    expect(tab.locator(f"{ROWS} .text")).to_have_text(everything)
    tab.keyboard.press("c")
    expect(tab.locator(ROWS)).to_have_count(0)
    tab.reload()
    expect(tab.locator("[data-notice=aside]")).to_contain_text("Earlier lines were cleared")
    expect(tab.locator(ROWS)).to_have_count(0)
    tab.keyboard.press("u")
    expect(tab.locator(f"{ROWS} .text")).to_have_text(everything)


def test_a_pause_counts_what_waits(tab, local):
    """Nothing changes until it ends."""
    numbered(local, 0, 2)
    opened(tab, local)
    tab.keyboard.press("p")
    numbered(local, 2, 3)
    expect(tab.locator("#pause")).to_have_text("Paused · 3 waiting")
    expect(tab.locator(ROWS)).to_have_count(2)
    tab.locator("#pause").click()
    expect(tab.locator(ROWS)).to_have_count(5)
    expect(tab.locator("#pause")).to_have_text("Pause")


def test_a_click_on_a_pair_asks_for_it(tab, local):
    """Or excludes it. The query is in the address, and a mistake in it is said."""
    local.send('path=/health status=200 msg="a b"', "path=/orders status=503")
    local.send('path=/health status=200 msg="c, d"', 'x"y=1 path=/health')
    opened(tab, local)
    tab.locator(ROWS).first.click()
    detail = tab.locator("#detail")
    detail.get_by_role("button", name="Only lines with path=/health").click()
    expect(tab.locator(ROWS)).to_have_count(3)
    detail.get_by_role("button", name="No lines with msg=a b").click()
    expect(tab.locator("#search")).to_have_value('path=/health -msg="a b"')
    expect(tab.locator(ROWS)).to_have_count(2)
    detail.get_by_role("button", name="No lines with path=/health").click()
    expect(tab.locator("#search")).to_have_value('-msg="a b" -path=/health')
    expect(tab.locator(f"{ROWS} .text")).to_have_text(["path=/orders status=503"])
    tab.reload()
    expect(tab.locator(f"{ROWS} .text")).to_have_text(["path=/orders status=503"])
    tab.fill("#search", "/(/ orders")
    expect(tab.locator("#query-error")).to_be_visible()
    expect(tab.locator(ROWS)).to_have_count(1)
    tab.fill("#search", "")
    expect(tab.locator("#query-error")).to_be_hidden()
    # A pair becomes a column, which the address holds.
    tab.locator(ROWS).first.click()
    detail.get_by_role("button", name="path as a column").click()
    detail.get_by_role("button", name="status as a column").click()
    cells = [["/health", "200"], ["/orders", "503"], ["/health", "200"], ["/health", ""]]

    def expect_cells(found, count):
        for row, values in enumerate(found):
            pairs = tab.locator(ROWS).nth(row).locator(".pair")
            expect(pairs).to_have_text(values[:count])

    expect_cells(cells, 2)
    assert "columns=path+status" in tab.url
    tab.reload()
    expect_cells(cells, 2)
    head = tab.get_by_role("button", name="Remove the column status")
    assert head.bounding_box()["x"] == tab.locator(".row .pair").nth(1).bounding_box()["x"]
    head.click()
    expect_cells(cells, 1)
    # The values of a key among the shown lines; a click on one asks for it.
    tab.fill("#search", "")
    tab.locator(ROWS).first.click()
    detail.get_by_role("button", name="status", exact=True).click()
    values = detail.locator(".values")
    expect(values).to_contain_text("2 values in 3 of 4 lines · least 200 · median 200 · p99 503")
    expect(values.locator("li")).to_have_text(["2002 · 67 %", "5031 · 33 %"])
    # They stay open beside the next line.
    tab.keyboard.press("j")
    expect(detail.locator("tr", has_text="path")).to_contain_text("/orders")
    values.get_by_role("button", name="503").click()
    expect(tab.locator("#search")).to_have_value("status=503")
    # What the chosen line stands among.
    tab.fill("#search", "orders")
    tab.locator(ROWS).first.click()
    detail.get_by_role("button", name="Show around it").click()
    expect(tab.locator(ROWS)).to_have_count(4)
    expect(tab.locator('.row[aria-selected="true"]')).to_contain_text("/orders")


def test_lines_are_copied_and_saved_as_the_list_shows_them(tab, local, tmp_path):
    """A line, several selected ones, a link; and files as text and as NDJSON."""
    tab.context.grant_permissions(["clipboard-read", "clipboard-write"])
    local.send("a=1 msg=first", "a=2 msg=second", "b=3 measure#x=1e3ms")
    opened(tab, local)
    tab.fill("#search", "msg=*")
    expect(tab.locator(ROWS)).to_have_count(2)
    head = "2026-11-21T12:00:00.000000+00:00 app[web.1]: "
    clipboard = "navigator.clipboard.readText()"
    tab.locator(ROWS).first.click()
    tab.locator("#detail").get_by_role("button", name="Copy line").click()
    expect(tab.locator("#detail")).to_contain_text("copied")
    assert tab.evaluate(clipboard) == head + "a=1 msg=first\n"
    tab.locator("#detail").get_by_role("button", name="Copy link").click()
    tab.wait_for_function("async () => (await navigator.clipboard.readText()).includes('line=')")
    assert tab.evaluate(clipboard) == tab.url
    tab.evaluate("getSelection().selectAllChildren(document.querySelector('.rows'))")
    tab.locator("#list").focus()
    tab.keyboard.press("Control+c")
    both = head + "a=1 msg=first\n" + head + "a=2 msg=second\n"
    tab.wait_for_function("async () => (await navigator.clipboard.readText()).includes('second')")
    assert tab.evaluate(clipboard) == both

    def saved(name):
        tab.locator("#options-button").click()
        with tab.expect_download() as found:
            tab.get_by_role("button", name=name).click()
        tab.keyboard.press("Escape")
        path = Path(tmp_path, found.value.suggested_filename)
        found.value.save_as(path)
        return path.read_text("utf-8")

    assert saved("as text") == both
    # What a terminal would obey is copied as it is shown, unless it is wanted.
    local.send("msg=\x1b[31mred")
    tab.locator(ROWS).filter(has_text="red").click()
    for name, text in (("Copy line", "msg=\\u001b[31mred"), ("Copy raw", "msg=\x1b[31mred")):
        tab.locator("#detail").get_by_role("button", name=name).click()
        tab.wait_for_function(
            "async (text) => (await navigator.clipboard.readText()).endsWith(text)",
            arg=text + "\n",
        )
    tab.fill("#search", "msg=* -red")
    expect(tab.locator(ROWS)).to_have_count(2)
    first, second = map(json.loads, saved("as NDJSON").splitlines())
    assert (first["text"], first["pairs"]) == ("a=1 msg=first", {"a": "1", "msg": "first"})
    assert (second["process"], second["level"], second["violations"]) == ("web.1", "info", 0)


def test_the_time_bar_jumps_and_keeps_to_a_span(tab, local):
    """A click goes to a time, a drag keeps to it, and the address has the span."""
    for second in range(100):
        numbered(local, second, 3, second=second)
    opened(tab, local)
    bar = tab.locator("#timebar")
    expect(bar).to_have_attribute("aria-label", re.compile("^300 lines from 12:00:00"))
    box = bar.bounding_box()

    def at(second):
        # Columns of half a second fill the width, the last one from 12:01:39.
        return box["width"] * second / 99.5

    bar.click(position={"x": at(20.2), "y": 20})
    chosen = tab.locator('.row[aria-selected="true"]')
    expect(chosen.locator(".time")).to_have_text("12:00:20.000")
    expect(chosen).to_be_in_viewport()
    tab.mouse.move(box["x"] + at(10.2), box["y"] + 20)
    tab.mouse.down()
    tab.mouse.move(box["x"] + at(11.8), box["y"] + 20, steps=3)
    tab.mouse.up()
    expect(tab.locator("#match-count")).to_have_text("6 of 300")
    assert "from=2026-11-21T12%3A00%3A10" in tab.url
    tab.reload()
    expect(tab.locator(ROWS)).to_have_count(6)
    numbered(local, 0, 1, second=11)
    expect(tab.locator(ROWS)).to_have_count(7)
    tab.get_by_role("button", name="All times").click()
    expect(tab.locator("#match-count")).to_have_text("")


def test_the_time_bar_of_more_than_a_day_has_dates(tab, local):
    """Which each time of the clock would need."""
    numbered(local, 0, 1)
    opened(tab, local)
    expect(tab.locator("#time-from")).to_have_text(re.compile("^12:00:00"))
    numbered(local, 1, 1, second=100_000)
    expect(tab.locator("#time-from")).to_have_text(re.compile("^11-21 1[12]:[0-9:]{5}$"))
    expect(tab.locator("#time-to")).to_have_text(re.compile("^11-22 1[56]:[0-9:]{5}$"))


def test_what_does_not_match_can_stay(tab, local):
    """Pale, so that one sees what is around a match; the keys lead from match to match."""
    numbered(local, 0, 300)
    opened(tab, local)
    tab.fill("#search", "n=150,160")
    expect(tab.locator(ROWS)).to_have_count(2)
    tab.keyboard.press("Enter")
    tab.keyboard.press("o")
    rows = tab.locator(ROWS)
    expect(rows.filter(has_text="n=299")).to_have_class(re.compile("other"))
    chosen = tab.locator('.row[aria-selected="true"]')
    for number in (160, 150):
        tab.keyboard.press("N")
        expect(chosen).to_contain_text(f"n={number}")
        expect(chosen).to_be_in_viewport()
        expect(chosen).not_to_have_class(re.compile("other"))
    expect(rows.filter(has_text="n=149")).to_have_class(re.compile("other"))
    expect(tab.locator("#match-count")).to_have_text("2 of 300")
    # Only matches have marks.
    expect(tab.locator(f"{ROWS} mark")).to_have_text(["n=150", "n=160"])
    # New lines and the span of time are obeyed too.
    numbered(local, 300, 1)
    expect(tab.locator("#match-count")).to_have_text("2 of 301")
    tab.reload()
    expect(chosen).to_contain_text("n=150")
    expect(rows.filter(has_text="n=149")).to_have_class(re.compile("other"))
    tab.locator("#list").press("End")
    expect(rows.last).to_contain_text("n=300")
    numbered(local, 400, 5, second=60)
    tab.goto(
        f"{local.page.url}#q=n=402&others=1&from=2026-11-21T12:00:50.000Z&to=2026-11-21T13:00:00.000Z"
    )
    expect(rows).to_have_count(5)
    numbered(local, 500, 1, second=70)
    expect(rows).to_have_count(6)
    expect(tab.locator(f"{ROWS}:not(.other)")).to_have_count(1)
    tab.locator("#list").press("o")
    expect(rows).to_have_count(1)


def test_keys_lead_from_one_problem_to_the_next(tab, local):
    """Errors and violations, forth and back, and from the end to the start."""
    numbered(local, 0, 200)
    local.send("msg=failed", priority=187)
    numbered(local, 200, 200)
    local.send("a=b=c")
    numbered(local, 400, 200)
    opened(tab, local)
    chosen = tab.locator('.row[aria-selected="true"] .text')
    for key, text in (("N", "a=b=c"), ("N", "msg=failed"), ("n", "a=b=c"), ("n", "msg=failed")):
        tab.keyboard.press(key)
        expect(chosen).to_have_text(text)
        expect(chosen).to_be_in_viewport()
    tab.keyboard.press("Enter")
    expect(tab.locator("#detail")).to_contain_text("msg=failed")


def test_times_are_those_of_the_readers_zone_if_wanted(chromium, local):
    """The address keeps it."""
    context = chromium.new_context(timezone_id="Asia/Kolkata")
    tab = context.new_page()
    local.send("msg=a")
    opened(tab, local)
    expect(tab.locator(f"{ROWS} .time")).to_have_text("12:00:00.000")
    tab.locator("#options-button").click()
    tab.get_by_label("Times of this computer's zone").check()
    expect(tab.locator(f"{ROWS} .time")).to_have_text("17:30:00.000")
    expect(tab.locator("#zone")).to_have_text(re.compile("Asia/(Kolkata|Calcutta)"))
    tab.reload()
    expect(tab.locator(f"{ROWS} .time")).to_have_text("17:30:00.000")
    context.close()


def test_long_lines_are_wrapped(tab, local):
    """Rows are as high as their text; following leads to the end, and the chosen line stays."""
    for number in range(60):
        local.send(f"n={number} msg={'x漢'[number % 2] * 80 * (number % 5 + 1)}")
    opened(tab, local)
    tab.keyboard.press("w")
    expect(tab.locator("#list")).to_have_class(re.compile("wraps"))
    last = tab.locator(ROWS).filter(has_text="n=59")
    expect(last).to_be_in_viewport(ratio=0.9)
    # No row hides a part of its text.
    overflow = "found => found.filter((one) => one.scrollHeight > one.parentNode.clientHeight)"
    assert tab.locator(f"{ROWS} .text").evaluate_all(f"{overflow}.length") == 0
    assert last.bounding_box()["height"] >= 44
    last.click()
    expect(tab.locator("#detail")).to_be_visible()
    expect(last).to_be_in_viewport(ratio=0.9)
    tab.keyboard.press("w")
    expect(last).to_be_in_viewport(ratio=0.9)
    assert last.bounding_box()["height"] == 22


def test_brief_rows_are_without_what_most_lines_begin_with(tab, local):
    """And without what stands in columns. Nothing inside quotes is left out."""
    whole = 'source=us level=info logger=web msg="a  level=b" status=200 n=1'
    local.send(whole, "level=info", hostname="shop")
    opened(tab, local)
    pale = tab.locator(f"{ROWS} .pale")
    expect(pale).to_have_text(["source=us level=info logger=web", "level=info"])
    tab.keyboard.press("b")
    shown_texts = tab.locator(f"{ROWS} .text")
    expect(shown_texts).to_have_text(['msg="a  level=b" status=200 n=1', "level=info"])
    expect(tab).to_have_url(re.compile("brief=1"))
    tab.goto(f"{local.page.url}#brief=1&columns=status&q=n%3D1&wrap=1")
    expect(shown_texts).to_have_text(['msg="a  level=b" n=1'])
    expect(tab.locator(f"{ROWS} mark")).to_have_text(["n=1"])
    tab.keyboard.press("b")
    expect(shown_texts).to_have_text([whole])
    expect(tab).not_to_have_url(re.compile("brief"))
    # A narrow screen begins with it.
    tab.goto("about:blank")
    tab.set_viewport_size({"width": 390, "height": 800})
    opened(tab, local)
    expect(shown_texts.first).to_have_text('msg="a  level=b" status=200 n=1')
    tab.get_by_role("button", name="More").click()
    tab.locator("#brief").uncheck()
    expect(shown_texts.first).to_have_text(whole)
    expect(tab).to_have_url(re.compile("brief=0"))
