"""Counts what goes wrong in the tries of one campaign."""

from dataclasses import dataclass, field, replace

from outcome import Outcome

_EXAMPLES = 5


@dataclass
class Tally:
    """The counts of one campaign, with the first examples of each kind."""

    what: str
    tries: int = 0
    tracebacks: int = 0
    losses: int = 0
    wrong: int = 0
    examples: list[str] = field(default_factory=list)

    def traceback(self, text: str) -> None:
        """Count a program that ended with a traceback, or printed one."""
        self.tracebacks += 1
        self._note("traceback", text)

    def loss(self, text: str) -> None:
        """Count something written before the fault that cannot be read any more."""
        self.losses += 1
        self._note("loss", text)

    def mistake(self, text: str) -> None:
        """Count a number or a state that differs from an undisturbed program's."""
        self.wrong += 1
        self._note("wrong", text)

    def outcome(self) -> Outcome:
        """The row of the table."""
        return Outcome(
            "processes",
            self.what,
            self.tries,
            self.tracebacks,
            self.losses,
            self.wrong,
            examples=tuple(self.examples),
        )

    def skipped(self, why: str) -> Outcome:
        """The row of a campaign that cannot be run here."""
        return replace(self.outcome(), skipped=why)

    def _note(self, kind: str, text: str) -> None:
        same = [one for one in self.examples if one.startswith(kind)]
        if len(same) < _EXAMPLES:
            self.examples.append(f"{kind}: {' '.join(text.split())[:300]}")
