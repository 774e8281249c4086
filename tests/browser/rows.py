"""The rows of the list, in a tab that shows the page."""

from __future__ import annotations

ROWS = ".row"


def opened(tab, local, *, rows=True, at=""):
    """The tab at the page, or at this part of its address, with the first rows."""
    tab.goto(local.page.url + at)
    if rows:
        tab.wait_for_selector(ROWS)
    return tab


def texts(tab):
    """The texts of the rows, as they are shown."""
    return tab.locator(f"{ROWS} .text").all_inner_texts()
