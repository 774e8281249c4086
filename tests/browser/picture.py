"""Draws `docs/receive.png` and `receive-dark.png`, the pictures in the README and the docs.

    python -m tests.browser.picture

It needs Chromium, Playwright's own or the system's, and the packages of `tox run -e browser`.
"""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, sync_playwright

from tests.receiver.page import Shown, shown

_DOCS = Path(__file__).parents[2] / "docs"
# The same lines in every picture.
_CHANCE = random.Random(11)


def send_traffic(one: Shown) -> None:
    """Send two minutes of three streams, with two lines that break a convention."""
    pick, chance = _CHANCE.choice, _CHANCE.random
    for step in range(240):
        second, host = step * 0.5, pick(["acme", "acme", "globex", "initech"])
        if chance() < 0.8:
            texts = [
                f"level=info logger=shop.web msg=GET path={pick(['/', '/cart', '/orders/97'])} "
                f"status=200 measure#web.latency={_CHANCE.randint(4, 90)}ms"
                for _ in range(int(abs(_CHANCE.gauss(0, 4))) + 1)
            ]
            one.send(*texts, second=second, hostname=host, process=pick(["web.1", "web.2"]))
        if chance() < 0.12:
            text = 'level=warning logger=shop.db msg="slow query" table=orders '
            text += f"measure#db.query={_CHANCE.randint(400, 900)}ms"
            one.send(text, second=second, hostname=host, process="worker.1", priority=188)
        if chance() < 0.06:
            text = f'level=error logger=shop.labels msg="no label" order_id={second:.0f}'
            one.send(text, second=second, hostname=host, process="worker.1", priority=187)
        if step in (90, 228):
            text = "level=info logger=legacy path=/x?a=b status=200 measure#web.latency=1e3ms"
            one.send(text, second=second, hostname="globex", process="web.2")


def draw(browser: Browser, url: str, scheme: Literal["light", "dark"], name: str) -> None:
    """Open the last line with a violation, and write the picture."""
    context = browser.new_context(
        viewport={"width": 1180, "height": 640}, color_scheme=scheme, device_scale_factor=2
    )
    tab = context.new_page()
    tab.goto(url)
    tab.wait_for_selector(".row")
    chosen = tab.locator('.row[aria-selected="true"]')
    tab.keyboard.press("N")
    while "legacy" not in chosen.inner_text():
        tab.keyboard.press("N")
        tab.wait_for_timeout(100)
    tab.keyboard.press("Enter")
    tab.wait_for_selector("#detail:not([hidden])")
    # Until what moves has come to rest.
    tab.wait_for_timeout(1_500)
    tab.screenshot(path=_DOCS / f"{name}.png")
    context.close()


def main() -> None:
    with shown() as one, sync_playwright() as playwright:
        send_traffic(one)
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"),
            args=["--no-sandbox"] if os.geteuid() == 0 else [],
        )
        draw(browser, one.page.url, "light", "receive")
        draw(browser, one.page.url, "dark", "receive-dark")
        browser.close()


if __name__ == "__main__":
    main()
