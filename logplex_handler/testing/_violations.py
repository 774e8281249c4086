"""A violation in words that a person can act on: what is wrong, what comes of it, and the cure."""

from __future__ import annotations

from logplex_handler.testing._explanations import RULES


class Violation(str):
    """What a sender did wrong. As a text it is the place and the rule, in one line.

    Attributes:
        rule: The rule's name, such as `packet.time`; a key of `RULES`.
        frame: The number of the frame in its request, from 1; None if it is the request's.
        finding: What was found, in more words than the text where there are more.
        consequence: What Logplex or a reader of the lines makes of it.
        cure: What to do instead.
    """

    rule: str
    frame: int | None
    finding: str

    def __new__(
        cls, text: str, rule: str, *, frame: int | None = None, finding: str = ""
    ) -> Violation:
        if rule not in RULES:
            raise KeyError(rule)
        self = super().__new__(cls, text)
        self.rule = rule
        self.frame = frame
        self.finding = finding or text
        return self

    @property
    def consequence(self) -> str:
        return RULES[self.rule].consequence

    @property
    def cure(self) -> str:
        return RULES[self.rule].cure

    @property
    def explained(self) -> str:
        """All of it: three sentences or more."""
        return f"{self.finding}. {self.consequence} {self.cure}"

    def __reduce__(self) -> tuple[object, ...]:
        return _again, (str(self), self.rule, self.frame, self.finding)


def _again(text: str, rule: str, frame: int | None, finding: str) -> Violation:
    return Violation(text, rule, frame=frame, finding=finding)
