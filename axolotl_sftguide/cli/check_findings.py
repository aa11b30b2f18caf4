"""Collects what `sftguide check` finds on one config."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .common import is_verbose, note, progress

if TYPE_CHECKING:
    from ..advice import Examined, Finding
    from ..hosts.axolotl import ExaminedRun


@dataclass(frozen=True)
class Options:
    """What is checked beside the config's text."""

    rows: int | None = None
    ranks: int = 1
    data: bool = False
    host: bool = False
    with_general: bool = False
    fix: bool = False


@dataclass(frozen=True)
class Checked:
    """The findings on one config, and what else is shown of it."""

    config: Path
    text: str
    shown: Sequence[Finding]
    general: Sequence[Finding]
    """Findings that hold for nearly every config."""
    silenced: int
    """How many findings a comment silences."""
    summary: Sequence[str]
    examined: Sequence[Examined] | None
    """The tokenised datasets; None if they were not requested."""

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain values, for JSON."""
        from ..config.host_schema import host_schema

        schema = host_schema()
        answer: dict[str, Any] = {
            "config": str(self.config),
            "findings": [f.to_dict() for f in self.shown],
            "general": [f.to_dict() for f in self.general],
            "silenced": self.silenced,
            "summary": list(self.summary),
            "axolotl": {"checked": schema.version, "installed": schema.installed},
        }
        if self.examined is not None:
            answer["data"] = [asdict(found) for found in self.examined]
        return answer


def collect(config: Path, options: Options) -> Checked:
    """Check one config.

    Raises:
        SFTGuideError: If it cannot be read, or its data cannot be prepared.
    """
    from ..advice import joined, repeated_keys, silenced, summary, with_unprepared
    from ..config.yaml_file import read_config, read_text

    known: dict[str, Any] = {"rows": options.rows, "ranks": options.ranks}
    loaded = read_config(config)
    if options.fix:
        _fix(config, known)
        loaded = read_config(config)
    unreadable = _unreadable(loaded) if options.data else []
    fatal = any(finding.weight == 0 for finding in unreadable)
    found = examine(config) if options.data and not fatal else None
    examined = found.datasets if found else []
    if found and found.run and not options.rows:
        known["rows"] = found.run.rows
        known["steps"] = found.run.steps_as_set(found.wanted, options.ranks)
    findings = _findings(loaded, known, examined, unreadable)
    if found and found.error:
        findings = with_unprepared(findings, found.error)
    if options.host:
        findings = _with_host(config, findings)
    text = read_text(config)
    findings, gone = silenced(text, [*repeated_keys(text), *findings])
    findings = joined(findings)
    shown = [f for f in findings if options.with_general or not f.is_general]
    other = any(f.id == "other-file" for f in shown)
    return Checked(
        config,
        text,
        shown,
        [f for f in findings if f not in shown],
        len(gone),
        [] if other else summary(loaded, **known),
        examined if options.data else None,
    )


def _findings(
    loaded: Mapping[str, Any],
    known: dict[str, Any],
    examined: Sequence[Examined],
    unreadable: Sequence[Finding] = (),
) -> list[Finding]:
    from ..advice import advise, data_findings
    from ..config.model_configs import parameter_count
    from ..planning import find_model

    model = find_model(str(loaded.get("base_model", ""))) or {}
    parameters = parameter_count(model)
    findings = advise(loaded, **known, parameters=parameters, model=model)
    findings += [f for found in examined for f in data_findings(found)]
    findings += unreadable
    return sorted(findings, key=lambda f: (f.weight, f.cost))


def _unreadable(loaded: Mapping[str, Any]) -> list[Finding]:
    """Findings on rows that the hosts cannot read; the files are read as for a mix."""
    from ..advice import empty_file, unreadable_rows

    try:
        from ..mixing import UNREADABLE, UNTRAINED, faulty_rows
    except ImportError:
        return []  # without `[mix]` Axolotl's own error is shown
    found: list[Finding] = []
    entries = None if loaded.get("processor_type") else loaded.get("datasets")
    for entry in entries if isinstance(entries, list) else []:
        if not isinstance(entry, dict) or not entry.get("path"):
            continue
        if _is_empty(entry["path"]):
            found.append(empty_file(str(entry["path"])))
            continue
        rows = list(faulty_rows(entry, Path.cwd()))
        for codes, fatal in ((UNREADABLE, True), (UNTRAINED, False)):
            some = [str(row) for row in rows if row.code in codes]
            if some:
                found.append(unreadable_rows(str(entry["path"]), some, fatal))
    return found


def _is_empty(path: Any) -> bool:
    try:
        own = Path(str(path)).expanduser()
        return own.is_file() and own.stat().st_size == 0
    except (OSError, RuntimeError, ValueError):  # which the host reports
        return False


def _fix(config: Path, known: dict[str, Any]) -> None:
    """Write the certain remedies of all findings to the file, comments kept."""
    from ..advice import silenced
    from ..config.yaml_edits import edited
    from ..config.yaml_file import read_config, read_text
    from ..errors import SFTGuideError

    text = read_text(config)
    found, _ = silenced(text, _findings(read_config(config), known, []))
    fixed = [finding for finding in found if finding.edits and not finding.is_general]
    edits = [edit for finding in fixed for edit in finding.edits]
    if not edits:
        note(f"{config}: nothing to fix")
        return
    try:
        config.write_text(edited(text, edits), encoding="utf-8")
    except OSError as error:
        raise SFTGuideError(f"{config}: cannot be written ({error.strerror})") from None
    for finding in fixed:
        changes = ", ".join(map(str, finding.edits))
        note(f"{config}: fixed {finding.id}: {changes}")


def _with_host(config: Path, findings: list[Finding]) -> list[Finding]:
    """The findings, and Axolotl's own refusal if none of them is one."""
    from ..advice import Cost, Finding, Weight
    from ..hosts.axolotl_validation import refusal

    with progress("asking Axolotl"):
        refused = refusal(config)
    if refused is None or any(f.cost == Cost.START for f in findings):
        return findings
    found = Finding(
        Weight.WRONG,
        refused.path,
        None,
        refused.message,
        "Axolotl refuses the config",
        "Correct it as Axolotl's message says",
        id="host-refuses",
    )
    return [found, *findings]


def examine(config: Path) -> ExaminedRun:
    """Tokenise a config's data with Axolotl, count what is trained, and the steps.

    Raises:
        SFTGuideError: If Axolotl is missing or cannot prepare the data.
    """
    from ..errors import SFTGuideError

    os.environ.setdefault("AXOLOTL_DO_NOT_TRACK", "1")
    # Hundreds of lines, many of them on stdout, which has our answer.
    log = sys.stderr if is_verbose() else io.StringIO()
    with (
        progress("reading the data with Axolotl"),
        redirect_stdout(log),
        redirect_stderr(log),
    ):
        try:
            from ..hosts.axolotl import examined_run
        except ImportError:
            raise SFTGuideError(
                "--data needs Axolotl: pip install 'axolotl-sftguide[axolotl]'"
            ) from None
        try:
            return examined_run(str(config))
        except SFTGuideError:
            raise
        except Exception as error:  # Axolotl has no common class of errors
            line = " ".join(str(error).split())[:300]
            raise SFTGuideError(
                f"{config}: Axolotl cannot prepare the data "
                f"({type(error).__name__}: {line}); -v shows its log"
            ) from None
