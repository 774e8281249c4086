"""The cases: which measurements belong together, and how large they are."""

from __future__ import annotations

from dataclasses import dataclass

# All sizes are shares of this number.
FULL = 200_000
QUICK = 20_000


@dataclass(frozen=True)
class Run:
    """One measurement.

    Attributes:
        subject: The measured handler; a name in `subjects` or `peers`.
        measure: A name in `measures`.
        share: The share of the total number of records.
        kind: The kind of record to log; a name in `kinds`.
        sink: The receiver; a mode of `sink`.
        label: The name of the run in its case. Default: the subject's.
    """

    subject: str
    measure: str
    share: float = 1.0
    kind: str = "order"
    sink: str = "fast"
    label: str = ""

    @property
    def name(self) -> str:
        return self.label or self.subject

    def records(self, whole: int) -> int:
        return max(10, round(whole * self.share))


OWN = ("null", "queue", "ours")

# The names in `levers`, which imports the package; this module does not.
LEVERS = (
    "without compiled call sites",
    "without light entries",
    "without fork mark",
    "without prepared requests",
    "without requests on open connections",
    "without linger",
    "without throttling",
    "with small batches",
)

# Those that matter to other records, measured with the mix.
MIX_LEVERS = (
    "without call sites of metrics and mappings",
    "without call sites of named arguments",
    "with equal shares of a light entry",
    "without kept frames of tracebacks",
)

# The other kinds of records. The expensive ones run with fewer records.
KINDS = {
    "web_mix": 0.25,
    "worker_mix": 0.25,
    "async_mix": 0.25,
    "plain": 0.25,
    "fstring": 0.25,
    "template": 0.25,
    "turns": 0.25,
    "metric": 0.25,
    "metrics": 0.25,
    "mapping": 0.25,
    "values": 0.25,
    "accented": 0.25,
    "medium": 0.1,
    "exception": 0.05,
    "long": 0.01,
}

# Shares of 200,000: 10,000 to 1,000,000 records, and with --largest 10,000,000.
SIZES = (0.05, 0.5, 5.0)
LARGEST = 50.0


def _side_by_side(measure: str, **more: object) -> tuple[Run, ...]:
    return tuple(Run(subject, measure, **more) for subject in OWN)  # type: ignore[arg-type]


def all_cases(*, largest: bool = False) -> dict[str, tuple[Run, ...]]:
    """Every case by name; cases in WITH_PEERS include the peers."""
    cases = {
        "burst": _side_by_side("burst"),
        "levers": tuple(Run(subject, "burst") for subject in (*OWN, *LEVERS)),
        "pace": _side_by_side("pace", share=0.1),
        "calls": (
            *_side_by_side("calls"),
            Run("ours", "calls", sink="hang", label="hang"),
            Run("ours", "calls", sink="slow", label="slow"),
        ),
        "waiting": (Run("ours", "waiting", 0.1, sink="dead"),),
        "growth": (Run("ours", "growth", 10.0, sink="dead"),),
        "level": (Run("ours", "below", 5.0, kind="below_level"),),
        "threads": tuple(Run(s, "threads") for s in ("null", "ours")),
        "spool": tuple(Run(s, "burst") for s in ("ours", "spool")),
        "sizes": tuple(
            Run(subject, "burst", share, label=f"{subject} {share:g}")
            for share in (*SIZES, LARGEST)[: None if largest else len(SIZES)]
            for subject in ("null", "ours")
        ),
    }
    mix = [
        Run(subject, "burst", KINDS["worker_mix"], kind="worker_mix")
        for subject in (*OWN, "without compiled call sites", *MIX_LEVERS)
    ]
    cases["mix levers"] = tuple(mix)
    for kind, share in KINDS.items():
        cases[kind] = _side_by_side("burst", share=share, kind=kind)
    return cases


# Peers do what the baselines do in these cases.
MIXES_WITH_PEERS = ("web_mix", "async_mix")
WITH_PEERS = ("burst", "pace", *MIXES_WITH_PEERS)
