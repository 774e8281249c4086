"""The page on compiled call sites shows the code that is generated today.

`python -m tests.formatting.test_call_sites_page` writes that code into the page.
"""

from __future__ import annotations

import logging

from logplex_handler import KeyValueFormatter
from logplex_handler._formatting import value_kinds
from logplex_handler._formatting.extract import extract_source
from logplex_handler._formatting.formatter import line_form
from logplex_handler._formatting.layout import layout_of
from logplex_handler._formatting.render import render_source
from logplex_handler._wire.packet import PacketForm
from tests.docs.blocks import DOCS, blocks

PAGE = DOCS / "call-sites.md"
PACKET = PacketForm("host", "app", "web.1", 23, True, 10_000)


def example_record() -> logging.LogRecord:
    """A record of the page's logging call, with the attributes that it has on Python 3.13."""
    arguments = (42, "Berlin", 17)
    message = "order %s shipped to %s in %dms"
    record = logging.LogRecord("shop.orders", logging.INFO, "shop.py", 1, message, arguments, None)
    record.__dict__.setdefault("taskName", None)
    record.__dict__.update(weight=2.5, labels=["fragile"])
    return record


def generated() -> list[str]:
    """The two functions, and the texts that they name."""
    form = line_form(KeyValueFormatter(source="us-east"))
    assert form is not None
    layout = layout_of(1, example_record(), form)
    assert layout is not None
    extract, render = (
        extract_source(layout, PACKET.room, by_attribute=True),
        render_source(layout, PACKET),
    )
    assert render is not None
    names = {**extract.names, **render.names}
    texts = [
        f"{name} = {value!r}\n"
        for name, value in names.items()
        if type(value) is str and name not in value_kinds.NAMES
    ]
    return [extract.text, render.text, "".join(texts)]


def shown() -> list[str]:
    return [block.text for block in blocks(PAGE) if block.says == "not run: generated code"]


def test_the_page_shows_the_code_that_is_generated():
    assert shown() == generated()


def test_the_code_of_a_call_site_is_the_same_each_time():
    assert generated() == generated()


if __name__ == "__main__":
    page = PAGE.read_text(encoding="utf-8")
    for old, new in zip(shown(), generated(), strict=True):
        page = page.replace(f"```python\n{old}```", f"```python\n{new}```")
    PAGE.write_text(page, encoding="utf-8")
