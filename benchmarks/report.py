"""Formats the results as Markdown tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import figures
from cases import KINDS, MIXES_WITH_PEERS
from figures import Measured, Spread, Target, spread

Results = dict[str, Any]

_OWN = {
    "null": "NullHandler: logging alone",
    "queue": "QueueHandler and idle QueueListener",
    "ours": "**LogplexHandler**",
}


def whole(results: Results) -> str:
    """The whole report, section by section."""
    sections = {
        "Targets": targets(results),
        "Peers": peers(results),
        "Peers, with the mixes": mix_peers(results),
        "Kinds of records": kinds(results),
        "Levers": levers(results),
        "Levers of the mix": mix_levers(results),
        "How it was made": made(results),
    }
    return "\n\n".join(f"## {title}\n\n{text}" for title, text in sections.items()) + "\n"


def targets(results: Results) -> str:
    """The targets and the results of each Python."""
    pythons: dict[str, Measured] = results["pythons"]
    rows = []
    for target in figures.TARGETS:
        measured = {name: spread(target.value, each["rounds"]) for name, each in pythons.items()}
        if any(measured.values()):
            cells = [
                f"{_show(value, target.digits)}{target.mark(value) if value else ''}"
                for value in measured.values()
            ]
            rows.append([target.title, _limit(target, "must"), _limit(target, "aim"), *cells])
    return _table(["figure", "must", "aim", *(f"Python {name}" for name in pythons)], rows)


def _limit(target: Target, which: str) -> str:
    limit = getattr(target, which)
    if limit is None:
        return ""
    sign = "≥" if target.at_least else "≤"
    return f"{sign} {limit:,.{target.digits}f}" if limit else "0"


def peers(results: Results) -> str:
    """The cost of all handlers relative to the baseline, one table for each Python."""
    return _each(results, _peers)


def _peers(measured: Measured) -> str:
    rounds = measured["rounds"]
    versions = measured["about"]["peers"]
    rows = []
    for name in subjects(rounds, "burst"):
        title = _OWN.get(name) or f"{name} {versions.get(name, '')}".strip()
        row = [title]
        for case in ("burst", "pace"):
            for part in ("caller", "whole"):
                row.append(_show(spread(figures.overhead(case, part, name), rounds), 2))
        if name in ("null", "queue"):
            row += ["", "", ""]
        else:
            lost = spread(figures.lost("burst", name), rounds)
            sent = next(one["burst"][name]["records"] for one in rounds if name in one["burst"])
            row.append(_show(spread(figures.per_cpu_second(name), rounds), 0))
            row.append(f"{100 * lost.middle / sent:.1f} %" if lost else "")
            grown = spread(figures.field("burst", "peak_bytes", figures.MIB, name), rounds)
            row.append(f"{grown.middle:.0f}" if grown else "")
        rows.append(row)
    heads = ["overhead of the caller", "of the whole", "at a steady pace: caller", "whole"]
    more = ["delivered per CPU second", "lost in the burst", "peak growth, MiB"]
    return _table(["", *heads, *more], rows)


def mix_peers(results: Results) -> str:
    """The cost of all handlers for records as real programs log them."""
    return _each(results, _mix_peers)


def _mix_peers(measured: Measured) -> str:
    rounds = measured["rounds"]
    rows = []
    for name in subjects(rounds, MIXES_WITH_PEERS[0]):
        row = [_OWN.get(name, name)]
        for case in MIXES_WITH_PEERS:
            for part in ("caller", "whole"):
                row.append(_show(spread(figures.overhead(case, part, name), rounds), 2))
        # Only this mix has records with numbers.
        lost = spread(figures.lost_of_numbered("web_mix", name), rounds)
        row.append(f"{100 * lost.middle:.1f} %" if lost and name not in ("null", "queue") else "")
        rows.append(row)
    heads = [f"{case}: {part}" for case in MIXES_WITH_PEERS for part in ("caller", "whole")]
    return _table(["", *heads, "lost of web_mix"], rows)


def subjects(rounds: Sequence[figures.Round], case: str) -> list[str]:
    """The subjects that any round measured in this case, in order."""
    return list(dict.fromkeys(name for one in rounds for name in one.get(case, {})))


def levers(results: Results) -> str:
    """The cost of the handler without one of its optimizations."""
    return _each(results, lambda measured: _levers(measured, "levers"))


def mix_levers(results: Results) -> str:
    """The same, for the mix of records."""
    return _each(results, lambda measured: _levers(measured, "mix levers"))


def _levers(measured: Measured, case: str) -> str:
    rounds = measured["rounds"]
    rows = []
    for name in subjects(rounds, case):
        if name not in ("null", "queue"):
            row = ["as it is" if name == "ours" else name]
            for part in ("caller", "whole"):
                row.append(_show(spread(figures.overhead(case, part, name), rounds), 2))
            lost = spread(figures.lost(case, name), rounds)
            rows.append([*row, f"{lost.middle:,.0f}" if lost else ""])
    return _table(["", "overhead of the caller", "of the whole", "lost"], rows)


def kinds(results: Results) -> str:
    """The cost of other kinds of records, one table for each Python."""
    return _each(results, _kinds)


def _kinds(measured: Measured) -> str:
    rounds = measured["rounds"]
    rows = []
    for kind in ("burst", *KINDS):
        row = ["template and extras" if kind == "burst" else kind]
        for part in ("caller", "whole"):
            for subject in _OWN:
                cost = spread(figures.microseconds(kind, part, subject), rounds)
                row.append(f"{cost.middle:.1f}" if cost else "")
            row.append(_show(spread(figures.overhead(kind, part), rounds), 2))
        lost = spread(figures.lost(kind), rounds)
        if lost:
            rows.append([*row, f"{lost.middle:,.0f}"])
    parts = [
        f"{part}: {column}"
        for part in ("caller", "whole")
        for column in ("null, µs", "queue, µs", "ours, µs", "overhead")
    ]
    return _table(["record", *parts, "lost"], rows)


def made(results: Results) -> str:
    """The command, the machine and the versions."""
    lines = [
        f"- `{results['command']}`, {results['date']}, {results['rounds']} rounds of"
        f" {results['records']:,} records",
        f"- {results['machine']}",
    ]
    for name, each in results["pythons"].items():
        about = each["about"]
        packages = {**about["packages"], **about["peers"]}
        listed = ", ".join(f"{package} {version}".strip() for package, version in packages.items())
        lines.append(f"- {about['implementation']} {about['python']}: {listed}")
        if about["missing"]:
            missing = ", ".join(about["missing"])
            lines.append(f"- Python {name} lacks {missing}, so these are left out")
        ceiling = spread(lambda one: one["ceiling"]["sink"]["per_second"], each["rounds"])
        per_cpu = spread(lambda one: one["ceiling"]["sink"]["per_cpu_second"], each["rounds"])
        fastest = spread(
            lambda one: figures.delivered(one["burst"]["ours"]) / one["burst"]["ours"]["wall"],
            each["rounds"],
        )
        lines.append(
            f"- the sink accepts {_show(ceiling, 0)} records a second,"
            f" {_show(per_cpu, 0)} for each second of its CPU;"
            f" LogplexHandler sent it {_show(fastest, 0)} a second"
        )
        if ceiling and fastest and ceiling.least < 2 * fastest.most:
            lines.append(f"- **the sink was too slow for these figures of Python {name}**")
    return "\n".join(lines)


def _each(results: Results, table: Any) -> str:
    return "\n\n".join(
        f"Python {name}\n\n{table(each)}" for name, each in results["pythons"].items()
    )


def _show(value: Spread | None, digits: int) -> str:
    if value is None:
        return "-"
    middle, least, most = (
        f"{number:,.{digits}f}" for number in (value.middle, value.least, value.most)
    )
    return middle if least == most else f"{middle} ({least} to {most})"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
