"""A violation, described so that its reader can act: the finding, the consequence and the cure."""

from __future__ import annotations

from logplex_handler.testing._explanations import RULES


class Violation(str):
    """A mistake of a sender. As a string, it is one line with the place and the rule.

    Attributes:
        rule: The rule's name, such as `packet.time`; a key of `RULES`.
        frame: The number of the frame in its request, from 1; None for the request as a whole.
        finding: What was found, sometimes in more detail than the string.
        consequence: What Logplex or a reader of the lines does because of it.
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
        """The finding, the consequence and the cure: three sentences or more."""
        return f"{self.finding}. {self.consequence} {self.cure}"

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (str(self), self.rule, self.frame, self.finding)


def _rebuild(text: str, rule: str, frame: int | None, finding: str) -> Violation:
    return Violation(text, rule, frame=frame, finding=finding)
