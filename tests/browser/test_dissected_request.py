"""A request in the view of requests, dissected: what was sent, and where it breaks a rule."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.receiver.page import body, shown
from tests.receiver.posts import TOKEN, post


@pytest.fixture
def local(tab):
    with shown(any_token=True) as one:
        yield one
        tab.goto("about:blank")


def opened(tab, local):
    """The panel of the newest request."""
    tab.goto(f"{local.page.url}#view=requests")
    tab.locator(".opens").first.click()
    panel = tab.locator("#request")
    panel.locator("h2").wait_for()
    return panel


def test_each_count_stands_over_its_frame_and_the_bad_byte_is_marked(tab, local):
    """What Logplex does not read is set apart; the token is nowhere."""
    good = body("level=info msg=grüße", "msg=two")
    wrong = b"97 " + body("msg=three").partition(b" ")[2]
    assert post(local.receiver.url, good + wrong, 3).status_code == 400
    panel = opened(tab, local)
    expect(panel.locator("h2")).to_have_text("POST /logs HTTP/1.1")
    expect(panel.locator(".verdict")).to_contain_text("Logplex answers 400 and routes nothing")
    counts = panel.locator(".octets").all_inner_texts()
    packets = panel.locator(".frame code").all_inner_texts()
    assert packets[0].endswith("web.1 - - level=info msg=grüße\\n")
    sizes = [str(len(one.replace("\\n", "\n").encode())) for one in packets]
    assert counts == sizes
    expect(panel.locator(".unread")).to_have_text(
        f"Logplex reads nothing from byte {len(good)} on:"
    )
    expect(panel.locator(".lost")).to_contain_text("msg=three")
    marked = panel.locator("mark.bad")
    expect(marked).to_have_count(1)
    # The first byte of the packet that is shorter than its count.
    assert marked.get_attribute("title") == f"byte {len(good) + 3}: 0x3c"
    headers = panel.locator("tr").filter(has_text="Authorization")
    expect(headers).to_contain_text("(hidden)")
    assert TOKEN not in tab.content()


def test_a_packet_that_breaks_a_rule_has_its_byte_marked(tab, local):
    """Its frame is read, and leads to its line."""
    local.post(body("msg=a").replace(b"T12", b"t12") + body("msg=b"), 2)
    panel = opened(tab, local)
    frames = panel.locator(".frame")
    expect(frames).to_have_count(2)
    expect(frames.nth(0).locator("mark.bad")).to_have_count(1)
    expect(frames.nth(1).locator("mark.bad")).to_have_count(0)
    frames.nth(1).get_by_role("link").click()
    expect(tab.locator("#lines")).to_be_visible()
    expect(tab.locator('.row[aria-selected="true"]')).to_contain_text("msg=b")


def test_a_request_is_copied_as_curl_and_sent_again(tab, local):
    """The command has no token; the receiver gets the same request once more."""
    tab.context.grant_permissions(["clipboard-read", "clipboard-write"])
    assert post(local.receiver.url, body("msg=a"), 2).status_code == 400
    panel = opened(tab, local)
    panel.get_by_role("button", name="Copy as curl").click()
    expect(panel.locator("output")).to_contain_text("copied")
    command = tab.evaluate("navigator.clipboard.readText()")
    assert "curl" in command
    assert '"$LOGPLEX_URL"' in command
    assert TOKEN not in command
    panel.get_by_role("button", name="Send again").click()
    expect(panel.locator("output")).to_have_text("sent again: 400")
    expect(tab.locator("#request-table .answer")).to_have_text(["400", "400"])


def test_the_panel_is_used_with_the_keyboard(tab, local):
    """It takes the focus, Esc closes it, and the focus is where it was."""
    local.send("msg=a")
    tab.goto(f"{local.page.url}#view=requests")
    opens = tab.locator(".opens")
    opens.focus()
    tab.keyboard.press("Enter")
    expect(tab.locator("#request h2")).to_be_focused()
    local.send("msg=b")
    expect(opens).to_have_count(2)
    tab.keyboard.press("Escape")
    expect(tab.locator("#request")).to_be_hidden()
    expect(opens.nth(1)).to_be_focused()


def test_whatever_a_request_holds_is_shown_as_text(tab, local):
    """HTML, control characters, and bytes that are no text."""
    evil = "<img src=x onerror=window.hacked=1>"
    junk = b"<190>1 - \x00\xff\x1b[31m" + evil.encode()
    post(local.receiver.url, b"%d %b" % (len(junk), junk), 1, User_Agent=evil)
    panel = opened(tab, local)
    expect(panel.locator("td").filter(has_text="onerror")).to_have_text(evil)
    expect(panel.locator(".frame")).to_contain_text("\\x00\\xff\\x1b[31m")
    assert tab.evaluate("window.hacked") is None
    assert panel.locator("img").count() == 0


def test_the_opened_requests_row_stays_in_sight(tab, local):
    """Although the panel beside it leaves less room, so that what is above becomes higher."""
    for number in range(30):
        local.send(f"n={number}")
    tab.goto(f"{local.page.url}#view=requests")
    row = tab.locator("#request-table tbody tr").nth(4)
    row.locator(".opens").click()
    expect(row).to_have_class("open")
    expect(tab.locator("#request h2")).to_be_focused()
    expect(row).to_be_in_viewport(ratio=1)


def test_the_address_holds_the_opened_request(tab, local):
    """A reload shows it again, and going back closes it."""
    local.send("msg=a")
    panel = opened(tab, local)
    tab.reload()
    expect(panel.locator("h2")).to_have_text("POST /logs HTTP/1.1")
    tab.go_back()
    expect(panel).to_be_hidden()
