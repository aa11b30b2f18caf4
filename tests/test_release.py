"""What a release rests on: one version, pinned actions, least permissions."""

from __future__ import annotations

import json
import re
import runpy
from pathlib import Path
from typing import Any

import pytest
import yaml

from axolotl_sftguide import __version__

PROJECT = Path(__file__).parent.parent
WORKFLOWS = sorted((PROJECT / ".github" / "workflows").glob("*.yml"))
MAY_WRITE = {
    ("docs", "publish"): {"pages", "id-token"},
    ("release", "attest"): {"id-token", "attestations"},
    ("release", "publish"): {"id-token"},
}
"""What each job needs to write; all others only read."""


def test_the_version_is_the_same_everywhere() -> None:
    project = (PROJECT / "pyproject.toml").read_text()
    assert re.findall(r'^version = "(.*)"', project, re.M) == [__version__]
    citation = yaml.safe_load((PROJECT / "CITATION.cff").read_text())
    assert citation["version"] == __version__
    changes = (PROJECT / "CHANGELOG.md").read_text()
    headings = re.findall(r"^## \[(.*?)\]", changes, re.M)
    assert next(h for h in headings if h != "Unreleased") == __version__
    assert f"rev: v{__version__}\n" in (PROJECT / "docs" / "check.md").read_text()


@pytest.fixture(scope="module")
def matrix() -> dict[str, Any]:
    """What `make matrix` has measured."""
    results = PROJECT / "benchmarks" / "results" / "host_versions.json"
    return dict(json.loads(results.read_text()))


def test_each_combination_of_the_matrix_was_run_and_passed(
    matrix: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(PROJECT / "benchmarks"))
    script = runpy.run_path(str(PROJECT / "benchmarks" / "host_versions.py"))
    assert [each.name for each in script["COMBINATIONS"]] == list(matrix)
    assert {name: row["failed"] for name, row in matrix.items() if row["failed"]} == {}
    assert all(row["passed"] > 3 for row in matrix.values())
    page = (PROJECT / "docs" / "hosts.md").read_text()
    assert script["table"](matrix) in page, "run benchmarks/host_versions.py --page"


def test_the_extras_ask_for_the_oldest_versions_that_passed(
    matrix: dict[str, Any],
) -> None:
    project = (PROJECT / "pyproject.toml").read_text()
    makefile = (PROJECT / "Makefile").read_text()
    oldest = matrix["trl-oldest"]["versions"]
    asked = dict(re.findall(r'"(axolotl|trl|transformers)>=([\d.]+)"', project))
    assert f"AXOLOTL := axolotl=={asked['axolotl']}\n" in makefile
    for name in ("trl", "transformers"):
        assert f"{oldest[name]}.".startswith(f"{asked[name]}."), name


def test_the_classifiers_are_the_pythons_that_passed(matrix: dict[str, Any]) -> None:
    project = (PROJECT / "pyproject.toml").read_text()
    named = set(re.findall(r"Python :: (3\.\d+)", project))
    assert named == {".".join(r["python"].split(".")[:2]) for r in matrix.values()}


def steps(job: dict[str, Any]) -> list[dict[str, Any]]:
    return list(job["steps"])


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_actions_are_pinned_by_hash_and_permissions_are_the_least(path: Path) -> None:
    text = path.read_text()
    for used in re.findall(r"uses: (.*)", text):
        assert re.fullmatch(r"[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", used), used
    workflow = yaml.safe_load(text)
    assert set(workflow["permissions"].values()) <= {"read"}
    for name, job in workflow["jobs"].items():
        assert "timeout-minutes" in job, name
        written = {k for k, v in job.get("permissions", {}).items() if v == "write"}
        assert written == MAY_WRITE.get((path.stem, name), set()), name
        for step in steps(job):
            # What a pull request names itself must not be a part of a shell's line.
            assert "${{" not in step.get("run", ""), name
            if step.get("uses", "").startswith("actions/checkout@"):
                assert step["with"] == {"persist-credentials": False}


def test_the_workflows_run_targets_of_the_makefile() -> None:
    makefile = (PROJECT / "Makefile").read_text()
    targets = set()
    for path in WORKFLOWS:
        for job in yaml.safe_load(path.read_text())["jobs"].values():
            targets |= set(job.get("strategy", {}).get("matrix", {}).get("target", ()))
            for step in steps(job):
                targets |= set(
                    re.findall(r"^make ([\w-]+)$", step.get("run", ""), re.M)
                )
    assert {"lint", "test-all", "test-trl", "docs", "test-wheel"} <= targets
    assert [name for name in targets if f"\n{name}:" not in makefile] == []


def test_a_release_is_tested_and_attested_before_it_is_published() -> None:
    release = yaml.safe_load((PROJECT / ".github/workflows/release.yml").read_text())
    jobs = release["jobs"]
    kept = [step.get("run") or step["uses"] for step in steps(jobs["build"])]
    uploads = [i for i, step in enumerate(kept) if "upload-artifact" in step]
    assert kept.index("make test-wheel") < min(uploads)
    assert (jobs["attest"]["needs"], jobs["publish"]["needs"]) == ("build", "attest")
    # What may sign or publish runs nothing of the project.
    for name in ("attest", "publish"):
        assert not any("run" in step for step in steps(jobs[name]))
        assert not any("checkout" in step.get("uses", "") for step in steps(jobs[name]))
