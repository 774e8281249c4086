"""Extras that the formatter leaves out."""

import pytest

from logplex_handler import ConfigurationError, KeyValueFormatter
from tests.formatting.call_sites import codec_that_knows, formatted, frames, is_compiled, make

FORMATTER = KeyValueFormatter(omit=["data", "o'dd"])


@pytest.mark.parametrize(
    ("extra", "shown"),
    [
        ({"data": 1}, ""),
        ({"data": object(), "a": 1}, " a=1"),
        ({"a": 1, "data": 1, "b": 2}, " a=1 b=2"),
        ({"o'dd": 1, "b": 2, "c": 3}, " b=2 c=3"),
        ({"b": 2}, " b=2"),
    ],
)
def test_an_omitted_extra_makes_no_pair(extra, shown):
    """The others keep their order."""
    line = FORMATTER.format(make("hello", extra=extra))
    assert line == f"level=info logger=shop msg=hello{shown}"


def test_a_call_site_is_not_taken_for_another():
    """Records that differ in their omitted extras, or in the others, keep their own pairs."""
    extras = [
        {"data": 1, "a": 1},
        {"data": 1, "b": 1},
        {"other": 1, "a": 1},
        {"a": 1, "data": 1},
        {"a": 1},
        {"data": 1, "a": 1, "b": 2},
        {"data": 1, "b": 1, "a": 2},
        {"other": 1, "b": 1, "a": 2},
    ]
    records = [make("hello", extra=extra) for extra in extras]
    codec = codec_that_knows(*records, formatter=FORMATTER)
    for record in records:
        entry, _ = codec.entry(record, FORMATTER)
        assert is_compiled(entry)
        assert frames(codec, entry) == formatted(record, FORMATTER)


@pytest.mark.parametrize("omit", ["data", [1], [None], 7])
def test_omit_must_be_names(omit):
    """A single name is probably a mistake: it would be read letter by letter."""
    with pytest.raises(ConfigurationError, match=r"^omit: "):
        KeyValueFormatter(omit=omit)
