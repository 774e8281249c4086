"""A phone's screen, and a large one at 200 % zoom: nothing is cut off, and swipes scroll."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.rows import ROWS, opened
from tests.logs import wait_until
from tests.receiver.page import body


def outside(tab):
    """Visible controls and texts that reach beyond the window's sides."""
    return tab.evaluate(
        """() => [...document.querySelectorAll("button, input, select, h1, h2, .time, .status")]
            .filter((one) => one.checkVisibility() && !one.closest(".table"))
            .map((one) => [one.id || one.className || one.tagName, one.getBoundingClientRect()])
            .filter(([, box]) => box.width && (box.left < 0 || box.right > innerWidth))
            .map(([name]) => name)"""
    )


@pytest.mark.parametrize(("width", "height"), [(390, 800), (640, 360)])
def test_nothing_is_cut_off(tab, local, width, height):
    """In any view: neither the header, nor the time of a line, nor the name of a plot."""
    tab.set_viewport_size({"width": width, "height": height})
    local.send("level=info msg=hello measure#web.latency=4ms", hostname="acme")
    local.send("a=b=c", hostname="a-customer-with-a-long-name")
    local.post(body("msg=a"), 2)
    tab.goto(local.page.url)
    row = tab.locator(".row").first
    row.wait_for()
    expect(tab.locator("#violations")).to_be_visible()
    assert outside(tab) == []
    expect(row.locator(".time")).to_be_visible()
    time, text = row.locator(".time").bounding_box(), row.locator(".text").bounding_box()
    assert text["width"] > width * 0.8
    assert text["y"] >= time["y"] + time["height"] - 1
    rows = [one.bounding_box() for one in tab.locator(".row").all()]
    assert rows[1]["y"] == pytest.approx(rows[0]["y"] + rows[0]["height"], abs=1)
    # A chosen pair stands before the text.
    tab.goto(f"{local.page.url}#columns=level")
    pair, text = row.locator(".pair").bounding_box(), row.locator(".text").bounding_box()
    assert pair["y"] == pytest.approx(text["y"], abs=1)
    assert pair["x"] < text["x"]
    tab.keyboard.press("2")
    tab.locator("#plots canvas").wait_for()
    assert outside(tab) == []
    title = tab.locator("#plots h2")
    expect(title).to_be_in_viewport()
    assert title.evaluate("(one) => one.scrollWidth <= one.clientWidth")
    tab.keyboard.press("3")
    tab.locator("#request-table tr").nth(1).wait_for()
    assert outside(tab) == []


def test_a_line_stays_in_its_rows_on_a_phone(tab, local):
    """However long its names are, with another day's date, a note and columns."""
    tab.set_viewport_size({"width": 390, "height": 800})
    local.send("level=info a=b=c", process="w" * 30, hostname="h" * 40)
    local.send("msg=x", second=-90_000)
    text = " ".join(f"{key}={'v' * 40}" for key in "abcdef")
    local.send(f"{text} measure#x=1e3", second=90_000, process="w" * 30, hostname="h" * 40)
    tab.goto(f"{local.page.url}#columns=a+b+c+d+e+f")
    expect(tab.locator(ROWS)).to_have_count(3)
    spilled = """(rows) => rows.flatMap((row) => {
        const { bottom, right } = row.getBoundingClientRect();
        return [...row.children].map((one) => [one.className, one.getBoundingClientRect()])
            .filter(([, box]) => box.width && (box.bottom > bottom + 1 || box.right > right + 1));
    }).map(([name]) => name)"""
    assert tab.locator(ROWS).evaluate_all(spilled) == []
    heads = tab.locator(f"{ROWS} :is(.stream, .name, .note)")
    assert all(box["width"] > 20 for box in [one.bounding_box() for one in heads.all()])
    tab.locator(ROWS).last.click()
    expect(tab.locator("#detail")).to_be_visible()
    assert outside(tab) == []


def test_the_controls_take_two_rows_on_a_phone(tab, local):
    """With a query and a pause; what narrows the lines is in a menu that gives the focus back."""
    tab.set_viewport_size({"width": 390, "height": 800})
    local.send("msg=a", "msg=b", process="web.1")
    local.send("msg=c", process="web.1", priority=187)
    opened(tab, local)
    tab.fill("#search", "msg=*")
    tab.locator("#pause").click()
    local.send("msg=d")
    expect(tab.locator("#pause")).to_have_text("Paused · 1 waiting")
    centres = tab.evaluate(
        """() => [...document.querySelectorAll("#filters :is(input, select, button, output)")]
            .filter((one) => one.checkVisibility() && !one.closest("label:not(.search)"))
            .map((one) => one.getBoundingClientRect())
            .map(({ top, bottom }) => Math.round((top + bottom) / 20))"""
    )
    assert len(centres) == 7
    assert len(set(centres)) <= 2
    assert outside(tab) == []
    opener = tab.get_by_role("button", name="Filters")
    opener.click()
    tab.select_option("#level", "3")
    tab.select_option("#process", "web.1")
    expect(tab.locator(ROWS)).to_have_count(1)
    # The menu of streams opens over it.
    tab.locator("#streams-button").click()
    expect(tab.locator("#streams-menu")).to_be_visible()
    for _ in range(2):
        tab.keyboard.press("Escape")
    expect(tab.locator("#narrowing")).to_be_hidden()
    expect(opener).to_be_focused()
    expect(opener).to_have_text("Filters 2")
    # A wide screen has it all in the row.
    tab.set_viewport_size({"width": 1280, "height": 760})
    expect(opener).to_be_hidden()
    expect(tab.locator("#level")).to_be_visible()


def test_a_swipe_over_a_plot_scrolls(chromium, local):
    """The plot does not keep the gesture for itself."""
    local.send(*[f"sample#depth{number}=1" for number in range(8)])
    context = chromium.new_context(viewport={"width": 390, "height": 800}, has_touch=True)
    page = context.new_page()
    page.goto(f"{local.page.url}#view=metrics")
    over = page.locator("#plots .u-over").nth(1)
    over.wait_for()
    box = over.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    devtools = context.new_cdp_session(page)

    def touch(kind, *points):
        devtools.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": list(points)})

    touch("touchStart", {"x": x, "y": y})
    for step in range(1, 11):
        touch("touchMove", {"x": x, "y": y - 20 * step})
    touch("touchEnd")
    scroll = page.locator("#metrics .scroll")
    assert wait_until(lambda: scroll.evaluate("(one) => one.scrollTop") > 100)
    context.close()
