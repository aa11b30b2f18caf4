"""What a campaign of deliberate faults found: one row of the table."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Outcome:
    """The tries of one campaign, and what went wrong in them.

    ``tracebacks`` counts programs that ended with a traceback, ``losses`` what was
    written before the fault and could not be read afterwards, ``wrong`` numbers or
    verdicts that differ from those of an undisturbed program.
    """

    area: str
    what: str
    tries: int
    tracebacks: int = 0
    losses: int = 0
    wrong: int = 0
    seconds: float = 0.0
    examples: tuple[str, ...] = ()
    skipped: str = ""

    @property
    def clean(self) -> bool:
        """Whether nothing went wrong."""
        return not (self.tracebacks or self.losses or self.wrong)
