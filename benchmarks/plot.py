"""Draws the cost that each handler adds to logging, as bars next to QueueHandler's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import figures
import report
from figures import Measured, Spread

_TITLES = {"queue": "QueueHandler, nothing delivered", "ours": "LogplexHandler"}
# Ours stands out; the two hues differ in print and for readers with colour blindness.
_COLOURS = {"caller": "#9ecae1", "whole": "#3182bd"}
_OURS = {"caller": "#fdae6b", "whole": "#e6550d"}
_HEIGHT = 0.4


def draw(results: dict[str, Any], path: Path) -> None:
    """Draw the first Python's figures of the burst; the same results make the same file."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "logplex_handler"
    from matplotlib import pyplot
    from matplotlib.patches import Patch

    name, measured = next(iter(results["pythons"].items()))
    bars = sorted(_bars(measured).items(), key=lambda bar: bar[1]["whole"].middle, reverse=True)
    figure, axes = pyplot.subplots(figsize=(8, 0.8 + 0.55 * len(bars)), layout="constrained")
    for row, (subject, parts) in enumerate(bars):
        colours = _OURS if subject == "ours" else _COLOURS
        for offset, part in ((_HEIGHT / 2, "caller"), (-_HEIGHT / 2, "whole")):
            value = parts[part]
            axes.barh(row + offset, value.middle, _HEIGHT, color=colours[part])
            axes.annotate(
                f" {value.middle:.2f}", (value.middle, row + offset), va="center", fontsize=8
            )
    axes.set_yticks(range(len(bars)), [_TITLES.get(subject, subject) for subject, _ in bars])
    axes.set_xscale("log")
    axes.axvline(1, color="grey", linewidth=0.8, zorder=0)
    least = min([part.least for _, parts in bars for part in parts.values()])
    # The scale is logarithmic, and noise can make a value zero or negative.
    axes.set_xlim(left=min(0.1, max(0.01, least)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_xlabel(f"CPU beyond logging's own, QueueHandler's = 1 (Python {name}, log scale)")
    axes.legend(
        handles=[
            Patch(color=_COLOURS["caller"], label="in the calling thread"),
            Patch(color=_COLOURS["whole"], label="in the whole process"),
        ],
        loc="upper right",
        frameon=False,
    )
    axes.margins(x=0.15)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, metadata={"Date": None})
    # matplotlib leaves trailing spaces, which whitespace checks reject.
    lines = [line.rstrip() for line in path.read_text().splitlines()]
    path.write_text("\n".join(lines) + "\n")


def _bars(measured: Measured) -> dict[str, dict[str, Spread]]:
    rounds = measured["rounds"]
    bars = {}
    for subject in report.subjects(rounds, "burst"):
        parts = {
            part: figures.spread(figures.overhead("burst", part, subject), rounds)
            for part in ("caller", "whole")
        }
        found = {part: value for part, value in parts.items() if value and value.middle > 0}
        # A handler that costs nothing cannot be drawn on this axis.
        if len(found) == len(parts):
            bars[subject] = found
    return bars
