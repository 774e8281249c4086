"""The page for everybody: axe-core finds nothing, in both themes and in all views."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.receiver.page import body

axe = pytest.importorskip("axe_playwright_python.sync_playwright")


def faults(tab):
    """What axe-core finds: each rule with the elements that break it."""
    found = axe.Axe().run(tab, options={"resultTypes": ["violations"]}).response["violations"]
    return {one["id"]: [node["html"][:160] for node in one["nodes"]] for one in found}


def send(local):
    """Lines of all levels and several streams, violations, metrics, and a refused request."""
    for priority in (187, 188, 190, 191):
        local.send("level=info msg=hello status=200", priority=priority, hostname="acme")
    local.send("source=us count#orders=1 measure#x=1ms", "sample#depth=4", hostname="globex")
    local.send("a=b=c measure#y=1e3ms", process="worker.1")
    local.post(body("msg=a"), 2)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_in_the_lines(tab, local, scheme):
    """Without lines; with marked texts and an open menu; with a line's details; on a phone."""
    tab.emulate_media(color_scheme=scheme)
    tab.goto(local.page.url)
    expect(tab.locator("#status")).to_have_text("live")
    assert faults(tab) == {}
    send(local)
    rows = tab.locator(".row:not([hidden])")
    expect(rows).to_have_count(7)
    tab.fill("#search", "hello")
    expect(rows).to_have_count(4)
    tab.locator("#streams-button").click()
    expect(tab.locator("#streams li")).to_have_count(3)
    assert faults(tab) == {}
    tab.keyboard.press("Escape")
    tab.fill("#search", "")
    expect(rows).to_have_count(7)
    rows.last.click()
    expect(tab.locator("#detail .violation")).to_have_count(2)
    tab.locator("#detail").get_by_role("button", name="as a column").first.click()
    expect(tab.locator("#heads button")).to_be_visible()
    tab.locator("#detail .key").first.click()
    expect(tab.locator("#detail .values")).to_be_visible()
    assert faults(tab) == {}
    tab.keyboard.press("Escape")
    tab.fill("#search", "hello")
    tab.keyboard.press("Enter")
    tab.keyboard.press("o")
    expect(tab.locator(".row.other")).to_have_count(3)
    assert faults(tab) == {}
    tab.set_viewport_size({"width": 390, "height": 800})
    tab.locator("#narrowing-button").click()
    expect(tab.locator("#level")).to_be_visible()
    assert faults(tab) == {}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_in_the_plots_and_the_requests(tab, local, scheme):
    """With numbers, violations and a dissected request."""
    tab.emulate_media(color_scheme=scheme)
    send(local)
    tab.goto(f"{local.page.url}#view=metrics")
    tab.locator("#plots summary").first.click()
    tab.locator("#plots td").first.wait_for()
    assert faults(tab) == {}
    tab.keyboard.press("3")
    tab.locator("#request-table summary").first.click()
    expect(tab.locator("#request-table .violation")).to_be_visible()
    tab.locator(".opens").first.click()
    expect(tab.locator("#request h2")).to_be_focused()
    assert faults(tab) == {}
