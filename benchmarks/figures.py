"""The figures of README and docs, held against `benchmarks/results`.

    python benchmarks/figures.py [PAGE ...]  # what is not in the results
    python benchmarks/figures.py --write     # puts the results' figures into the pages

`figures.yml` says for each page where its figures come from:

figures  sentences or rows of tables, with a field for each figure, in the syntax of
         `str.format`: `{history[sqlite][step_ms][p50]:.2f}` is a value of
         `results/history.json`. Words around a field need only tell it from others; a
         space stands for any white space, so that lines may be wrapped anew.
parts    marked parts (`<!-- NAME -->`) that a script writes and a test compares.
others   numbers that are not measured here, as regular expressions with the reason.

`tables.py` makes whole tables from the results. A number that looks like a measurement
(a percentage, a decimal, a time or a size) must be a field, in a table or a part, among
the others, or be said again: prose repeats numbers of the tables in its section.
"""

from __future__ import annotations

import argparse
import json
import re
import string
import sys
from bisect import bisect
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parent))

from tables import derived, tables

PROJECT = Path(__file__).resolve().parent.parent
RESULTS = PROJECT / "benchmarks" / "results"
LISTED = yaml.safe_load((PROJECT / "benchmarks" / "figures.yml").read_text())

UNITS = "%|times|s|ms|µs|seconds|minutes|MiB|GiB|GB|MB|KB|kB|CPU"
DECIMAL = r"[-+]?\d[\d,]*\.\d+"
MEASURED = re.compile(
    rf"(?<![\w.`/-])(?:[-+]?\d[\d,]*(?:\.\d+)?\s?(?:{UNITS})(?!\w)|{DECIMAL}(?![\w.]))"
)
NUMBER = r"([-+]?\d[\d,]*(?:\.\d+)?%?)"
UNREAD = (
    r"^```.*?^```",  # blocks of code
    r"`[^`\n]*`",
    r"\]\([^)\n]*\)",  # addresses of links
    r"<!--.*?-->",
    r"^#+ .*?$",
)

REMEDY = """
Run `make bench`, or `python benchmarks/figures.py --write` if the results are right.
List a new figure in benchmarks/figures.yml, with its place in benchmarks/results.
"""

Span = tuple[int, int]


class Results(dict[str, Any]):
    """The results by the names of their files, and what `tables.py` derives of them."""

    def __init__(self) -> None:
        super().__init__(derived())

    def __missing__(self, name: str) -> Any:
        self[name] = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
        return self[name]


@dataclass(frozen=True)
class Difference:
    """A figure of a page that is not in the results."""

    page: str
    line: int
    problem: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}: {self.problem}"


class Sentence:
    """A template with its fields' values."""

    def __init__(self, template: str, results: Results) -> None:
        self.template = template
        pattern, self.values = "", []
        for literal, name, spec, _ in string.Formatter().parse(template):
            pattern += r"\s+".join(
                re.escape(word) for word in re.split(r"\s+", literal)
            )
            if name is not None:
                pattern += NUMBER
                field = f"{{{name}:{spec}}}" if spec else f"{{{name}}}"
                self.values.append(field.format_map(results))
        self._pattern = re.compile(pattern)

    def found(self, text: str) -> list[re.Match[str]]:
        return list(self._pattern.finditer(text))


class Page:
    """A page, and where its figures come from."""

    def __init__(self, name: str, text: str) -> None:
        self.name, self.text = name, text
        self.differences: list[Difference] = []
        self._edits: list[tuple[Span, str]] = []
        self._covered: list[Span] = []
        listed = LISTED["pages"].get(name) or {}
        results = Results()
        for template in listed.get("figures", ()):
            self._compare(Sentence(template, results))
        self._compare_tables(tables().get(name, {}))
        for part in listed.get("parts", ()):
            start = text.find(f"<!-- {part} -->\n")
            end = text.find(f"<!-- end of {part} -->", start)
            self._cover(start, end, f"a part {part!r}")
        for start, end in unaccounted(text, self._covered, listed.get("others", {})):
            problem = "is neither in the results nor listed as another"
            self._differs(start, f"{text[start:end]!r} {problem}")

    def with_results(self) -> str:
        """The text with the results' figures in sentences and tables."""
        text = self.text
        for (start, end), value in sorted(self._edits, reverse=True):
            text = text[:start] + value + text[end:]
        return text

    def _compare(self, sentence: Sentence) -> None:
        found = sentence.found(self.text)
        if len(found) != 1:
            self._differs(0, f"has {sentence.template!r} {len(found)} times, not once")
        for match in found:
            for i, value in enumerate(sentence.values, start=1):
                self._covered.append(match.span(i))
                if match[i] != value:
                    problem = f"has {match[i]}, the results have {value}"
                    self._differs(match.start(i), problem)
                    self._edits.append((match.span(i), value))

    def _compare_tables(self, made: dict[str, str]) -> None:
        """Tables with the same head are those of the page in the same order."""
        places: dict[str, Iterator[re.Match[str]]] = {}
        for title, table in made.items():
            head = table[: table.index("\n") + 1]
            rows = re.compile(rf"^{re.escape(head)}(?:\|.*\n)+", re.MULTILINE)
            found = next(places.setdefault(head, rows.finditer(self.text)), None)
            if found is None:
                self._differs(0, f"does not have the table {title!r} of the results")
                continue
            self._covered.append(found.span())
            if found.group() != table:
                self._differs(found.start(), f"has another table {title!r}")
                self._edits.append((found.span(), table))

    def _cover(self, start: int, end: int, what: str) -> None:
        if min(start, end) < 0:
            self._differs(0, f"does not have {what}")
        else:
            self._covered.append((start, end))

    def _differs(self, at: int, problem: str) -> None:
        line = self.text.count("\n", 0, at) + 1
        self.differences.append(Difference(self.name, line, problem))


def unaccounted(text: str, covered: list[Span], others: dict[str, str]) -> list[Span]:
    """Numbers that look measured and that nothing accounts for."""
    for pattern in {**LISTED["others"], **others}:
        covered = [*covered, *(m.span() for m in re.finditer(pattern, text))]
    inside = bytearray(len(text))
    for start, end in covered:
        inside[start:end] = b"\1" * (end - start)
    headings = [match.start() for match in re.finditer(r"^## ", text, re.MULTILINE)]
    said, found = set(), []
    for start, end in measured_numbers(text):
        section = bisect(headings, start)
        number = section, re.sub(r"\s", "", text[start:end]).lstrip("+-")
        if any(inside[start:end]):
            said.add(number)
        else:
            found.append((number, (start, end)))
    return [span for number, span in found if number not in said]


def measured_numbers(text: str) -> Iterator[Span]:
    """Where numbers that look like measurements are, but not in code and links."""
    for pattern in UNREAD:
        text = re.sub(
            pattern, lambda m: re.sub(r"\S", " ", m.group()), text, flags=re.M | re.S
        )
    for match in MEASURED.finditer(text):
        yield match.span()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "pages", nargs="*", help="all that are listed, if none is given"
    )
    parser.add_argument("--write", action="store_true", help="change the pages")
    asked = parser.parse_args()
    pages = asked.pages or list(LISTED["pages"])
    found = []
    for name in pages:
        path = PROJECT / name
        page = Page(name, path.read_text(encoding="utf-8"))
        if asked.write:
            path.write_text(page.with_results(), encoding="utf-8")
            page = Page(name, page.with_results())
        found += page.differences
    fine = f"{len(pages)} pages: every figure is in the results"
    print("\n".join(map(str, [*found, REMEDY])) if found else fine)
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
