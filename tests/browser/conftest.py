"""One headless Chromium for all tests of the page: Playwright's own, or the system's."""

from __future__ import annotations

import os
import shutil

import pytest
from playwright.sync_api import expect, sync_playwright

from tests.receiver.page import shown

# A busy machine takes its time.
expect.set_options(timeout=30_000)
NAMES = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="session")
def chromium():
    with sync_playwright() as playwright:
        own = playwright.chromium.executable_path
        path = own if os.path.exists(own) else next(filter(None, map(shutil.which, NAMES)), None)
        if path is None:
            pytest.skip("there is no Chromium here: `playwright install chromium`, or the system's")
        # Chromium's sandbox does not work for root, as whom containers run.
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def tab(chromium):
    """A new tab; anything in its console that is no information fails the test."""
    context = chromium.new_context(viewport={"width": 1280, "height": 760})
    page = context.new_page()
    page.set_default_timeout(30_000)
    complaints = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "console",
        lambda message: (
            complaints.append(message.text) if message.type in ("error", "warning") else None
        ),
    )
    page.complaints = complaints
    yield page
    context.close()
    assert complaints == []


@pytest.fixture
def local(tab):
    """A receiver and its page, which the tab leaves before it is gone."""
    with shown() as one:
        yield one
        tab.goto("about:blank")
