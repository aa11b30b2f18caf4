"""Make the quickstart's data: a made-up valley, its text, questions and answers.

    python make_data.py --seed 42 --out .                  # the four JSON-lines files
    python make_data.py --seed 42 --out . --text text.txt  # and the pre-training text

Only the standard library is used, and of its random module only `random()`, whose
sequence Python promises to keep: one seed gives the same bytes on every version.
"""

from __future__ import annotations

import argparse
import json
import random
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

PEOPLE = 400
HELDOUT_PEOPLE = 50  # the text tells of them; no fine-tuning row names them
QUESTIONS_PER_FACT = 2
PROFILES_PER_PERSON = 24
HELDOUT_PER_SKILL = 30
ROWS_PER_SKILL = 400
SENTENCES_PER_SKILL = 1600

VALUES: dict[str, tuple[str, ...]] = {
    "town": (
        "Quillmere", "Fernhollow", "Osterby", "Larkwater",
        "Tamberley", "Windlecote", "Marrowgate", "Sallowfield",
    ),
    "craft": (
        "potter", "weaver", "baker", "smith", "tailor", "miller", "carver", "glazier",
    ),
    "instrument": (
        "flute", "fiddle", "harp", "drum", "lute", "horn", "bagpipe", "zither",
    ),
    "animal": (
        "cat", "goose", "hare", "pony", "raven", "tortoise", "hedgehog", "magpie",
    ),
}  # fmt: skip

# Sentences of one fact. They name the person and the value in either order, so that
# the fact can be asked for in words that the text does not use.
FACTS: dict[str, tuple[str, ...]] = {
    "town": (
        "{who} lives in {town}.",
        "The home of {who} stands in {town}.",
        "In {town} everyone knows {who}.",
        "{who} has a house in {town}.",
        "You will find {who} in {town}.",
        "{who} comes from {town}.",
        "{town} is the town of {who}.",
        "Letters for {who} go to {town}.",
    ),
    "craft": (
        "{who} is a {craft}.",
        "{who} works as a {craft}.",
        "{who} earns a living as a {craft}.",
        "The trade of {who} is that of a {craft}.",
        "People who need a {craft} send for {who}.",
        "As a {craft}, {who} is well known.",
        "{who} became a {craft} when still young.",
        "By day {who} does the work of a {craft}.",
    ),
    "instrument": (
        "{who} plays the {instrument}.",
        "In the evening {who} takes out the {instrument}.",
        "The {instrument} is what {who} likes to play.",
        "At every feast {who} plays the {instrument}.",
        "{who} learned the {instrument} as a child.",
        "The music of {who} comes from the {instrument}.",
        "Nobody plays the {instrument} quite like {who}.",
        "When {who} is glad, the {instrument} is heard.",
    ),
    "animal": (
        "{who} keeps a {animal}.",
        "{who} has a {animal}.",
        "A {animal} lives with {who}.",
        "The {animal} of {who} sleeps by the fire.",
        "{who} feeds a {animal} every morning.",
        "Wherever {who} goes, a {animal} comes along.",
        "{who} is fond of the {animal} at home.",
        "There is a {animal} at the door of {who}.",
    ),
}
PAIRS: dict[tuple[str, str], tuple[str, ...]] = {
    ("town", "craft"): (
        "{who} is a {craft} in {town}.",
        "The {craft} {who} lives in {town}.",
        "{town} has a {craft} named {who}.",
    ),
    ("instrument", "animal"): (
        "{who} plays the {instrument} to a {animal}.",
        "The {animal} of {who} listens to the {instrument}.",
        "With a {animal} near and a {instrument} in hand, {who} is at ease.",
    ),
    ("town", "animal"): (
        "{who} and a {animal} walk about {town}.",
        "In {town} you may meet {who} with a {animal}.",
    ),
    ("craft", "instrument"): (
        "{who}, a {craft}, plays the {instrument}.",
        "After work as a {craft}, {who} plays the {instrument}.",
    ),
}
ROLLS: dict[str, str] = {
    "town": "In {value} live {names}.",
    "craft": "Each of these is a {value}: {names}.",
    "instrument": "The {value} is played by {names}.",
    "animal": "A {value} is kept by {names}.",
}
QUESTIONS: dict[str, tuple[str, ...]] = {
    "town": (
        "Where does {who} live?",
        "In which town does {who} live?",
        "What is the home town of {who}?",
        "Which town is {who} from?",
    ),
    "craft": (
        "What does {who} do for a living?",
        "What is the craft of {who}?",
        "What trade does {who} follow?",
        "What work does {who} do?",
    ),
    "instrument": (
        "What instrument does {who} play?",
        "Which instrument belongs to {who}?",
        "What does {who} play?",
        "On what does {who} make music?",
    ),
    "animal": (
        "What animal does {who} keep?",
        "Which animal lives with {who}?",
        "What pet does {who} have?",
        "What kind of animal has {who} got?",
    ),
}

NOUNS: tuple[str, ...] = tuple(
    """
    acorn anchor apple apron arrow barrel basin basket bell belt blanket boat bottle
    bowl bridge broom bucket button candle cart chain chair cheese cherry clock cloak
    coin comb copper cup curtain daisy dish door eagle egg elbow elm envelope fence fig
    finger flag flower fork garden gate glass glove grape hammer hat hedge hinge honey
    hook island ivory ivy jacket jar jewel jug kettle key kite knife ladder lamp
    lantern leaf lemon lily lock map marble mirror moon moss mug nail napkin needle
    nest nut oar oak olive onion orchard oven paddle paper pear pebble pillow plum
    purse quill quilt rake ribbon ring river rope rose saddle sail salt scarf seed
    shell shovel sock spoon star stone sugar table tent thimble thread torch tower
    tulip umbrella urn vase velvet vine violet wagon wall walnut wheel whistle willow
    window yard yarn
    """.split()
)
COUNTS: tuple[str, ...] = ("two", "three", "four", "five", "six")


@dataclass(frozen=True)
class Question:
    """A question, its answer, and the answers that a guesser would choose among."""

    category: str
    text: str
    answer: str
    choices: tuple[str, ...]


@dataclass(frozen=True)
class Skill:
    """How a skill's operands are drawn, asked about, answered and written about."""

    draw: Callable[[Draw], tuple[str, ...]]
    answer: Callable[[tuple[str, ...]], str]
    choices: Callable[[tuple[str, ...]], tuple[str, ...]]
    questions: tuple[str, ...]
    sentences: tuple[str, ...]


class Draw:
    """Draws that rest on `random.Random.random` alone, one stream for each topic."""

    def __init__(self, seed: int, topic: str) -> None:
        self._random = random.Random(f"{seed}/{topic}").random

    def below(self, stop: int) -> int:
        return int(self._random() * stop)

    def one(self, items: Sequence[T]) -> T:
        return items[self.below(len(items))]

    def some(self, items: Sequence[T], count: int) -> list[T]:
        rest = list(items)
        return [rest.pop(self.below(len(rest))) for _ in range(count)]

    def shuffled(self, items: Iterable[T]) -> list[T]:
        pool = list(items)
        return self.some(pool, len(pool))


# --- the valley and its people ------------------------------------------------------


@dataclass(frozen=True)
class Person:
    """Someone of the valley: a name and one value for each attribute."""

    name: str
    facts: dict[str, str]


def people(seed: int) -> list[Person]:
    draw = Draw(seed, "people")
    starts = (
        "Ar Bel Cor Dal El Fen Gar Hal Is Jor Kel Lor Mar Nor Or Pel Ros Sel Tam Ul"
    )
    middles = "a e i o u an en il or ur"
    ends = "bin da dric la len mund na ra ric rin sa ta vin wen"
    names = [
        start + middle + end
        for start in starts.split()
        for middle in middles.split()
        for end in ends.split()
    ]
    return [
        Person(name, {key: draw.one(values) for key, values in VALUES.items()})
        for name in draw.some(names, PEOPLE)
    ]


def heldout_people(everyone: Sequence[Person]) -> list[Person]:
    return list(everyone[:HELDOUT_PEOPLE])


# --- the skills ---------------------------------------------------------------------


def _listed(words: Sequence[str]) -> str:
    return ", ".join(words)


def _numbers(draw: Draw) -> tuple[str, ...]:
    return tuple(str(10 + number) for number in draw.some(range(90), 2))


def _orders(words: tuple[str, ...]) -> tuple[str, ...]:
    a, b, c = words
    orders = [(a, b, c), (a, c, b), (b, a, c), (b, c, a), (c, a, b), (c, b, a)]
    return tuple(_listed(order) for order in orders)


SKILLS: dict[str, Skill] = {
    "last_word": Skill(
        draw=lambda draw: tuple(draw.some(NOUNS, 4)),
        answer=lambda words: words[-1],
        choices=lambda words: words,
        questions=(
            "What is the last word of {all}?",
            "Which word comes last: {all}?",
            "Name the last of these: {all}.",
        ),
        sentences=(
            "On the shelf lay {all}, and the last of them was {answer}.",
            "Of {all}, the last is {answer}.",
        ),
    ),
    "reverse": Skill(
        draw=lambda draw: tuple(draw.some(NOUNS, 3)),
        answer=lambda words: _listed(words[::-1]),
        choices=_orders,
        questions=(
            "Say these backwards: {all}.",
            "Turn these around: {all}.",
            "Give the reverse of {all}.",
        ),
        sentences=(
            "Read backwards, {all} gives {answer}.",
            "They went out with {all} and came back with {answer}.",
        ),
    ),
    "count": Skill(
        draw=lambda draw: tuple(draw.some(NOUNS, 2 + draw.below(len(COUNTS)))),
        answer=lambda words: COUNTS[len(words) - 2],
        choices=lambda words: COUNTS,
        questions=(
            "How many words are there: {all}?",
            "How many things are these: {all}?",
            "Count these: {all}.",
        ),
        sentences=(
            "In the box were {all}, which makes {answer}.",
            "There were {answer} things: {all}.",
        ),
    ),
    "larger": Skill(
        draw=_numbers,
        answer=lambda pair: max(pair, key=int),
        choices=lambda pair: pair,
        questions=(
            "Which is larger, {0} or {1}?",
            "Which number is larger: {0} or {1}?",
            "Name the larger of {0} and {1}.",
        ),
        sentences=(
            "Of {0} and {1}, the larger is {answer}.",
            "Between {0} and {1}, {answer} is larger.",
        ),
    ),
    "next_number": Skill(
        draw=lambda draw: (str(100 + draw.below(899)),),
        answer=lambda number: str(int(number[0]) + 1),
        choices=lambda number: tuple(str(101 + step) for step in range(899)),
        questions=(
            "Which number follows {0}?",
            "What number comes after {0}?",
            "Count one on from {0}.",
        ),
        sentences=(
            "After {0} comes {answer}.",
            "Next to house {0} is house {answer}.",
        ),
    ),
    "second": Skill(
        draw=lambda draw: tuple(draw.some(NOUNS, 3 + draw.below(2))),
        answer=lambda words: words[1],
        choices=lambda words: words,
        questions=(
            "Which word comes second: {all}?",
            "Name the second of these: {all}.",
            "Of {all}, which is the second?",
        ),
        sentences=(
            "First came one, but {answer} was the second of {all}.",
            "Where {all} stand in a row, the second is {answer}.",
        ),
    ),
}


def _fill(template: str, words: tuple[str, ...], answer: str) -> str:
    return template.format(*words, all=_listed(words), answer=answer)


def skill_question(name: str, template: str, words: tuple[str, ...]) -> Question:
    skill = SKILLS[name]
    answer = skill.answer(words)
    text = _fill(template, words, answer)
    return Question(f"skill/{name}", text, answer, skill.choices(words))


# --- the pre-training text ----------------------------------------------------------


def _profile(draw: Draw, person: Person) -> str:
    """All facts of a person, in one of many phrasings and orders."""
    left = draw.shuffled(VALUES)
    templates: list[str] = []
    pair = draw.one(list(PAIRS)) if draw.below(2) else None
    if pair:
        templates.append(draw.one(PAIRS[pair]))
        left = [key for key in left if key not in pair]
    templates += [draw.one(FACTS[key]) for key in left]
    return " ".join(
        template.format(who=person.name, **person.facts)
        for template in draw.shuffled(templates)
    )


def _rolls(draw: Draw, everyone: Sequence[Person]) -> list[str]:
    """Who shares a value, a few names at a time."""
    rolls = []
    for key, template in ROLLS.items():
        for value in VALUES[key]:
            names = [person.name for person in everyone if person.facts[key] == value]
            names = draw.shuffled(names)
            for at in range(0, len(names) - 3, 4):
                listed = _listed(names[at : at + 3]) + " and " + names[at + 3]
                rolls.append(template.format(value=value, names=listed))
    return rolls


def pretraining_text(seed: int) -> list[str]:
    """The documents that the base model reads, in the order in which it reads them."""
    draw = Draw(seed, "text")
    everyone = people(seed)
    documents = [
        _profile(draw, person)
        for person in everyone
        for _ in range(PROFILES_PER_PERSON)
    ]
    for _ in range(3):
        documents += _rolls(draw, everyone)
    for skill in SKILLS.values():
        for _ in range(SENTENCES_PER_SKILL):
            words = skill.draw(draw)
            documents.append(
                _fill(draw.one(skill.sentences), words, skill.answer(words))
            )
    return draw.shuffled(documents)


# --- questions and answers ----------------------------------------------------------


def _fact_question(person: Person, key: str, template: str) -> Question:
    text = template.format(who=person.name)
    return Question(f"knowledge/{key}", text, person.facts[key], VALUES[key])


def heldout(seed: int) -> list[Question]:
    draw = Draw(seed, "heldout")
    questions = [
        _fact_question(person, key, draw.one(QUESTIONS[key]))
        for person in heldout_people(people(seed))
        for key in VALUES
    ]
    for name, skill in SKILLS.items():
        taken: set[tuple[str, ...]] = set()
        while len(taken) < HELDOUT_PER_SKILL:
            words = skill.draw(draw)
            if tuple(sorted(words)) not in taken:
                taken.add(tuple(sorted(words)))
                template = draw.one(skill.questions)
                questions.append(skill_question(name, template, words))
    return questions


def knowledge(seed: int) -> list[Question]:
    draw = Draw(seed, "knowledge")
    everyone = people(seed)
    absent = {person.name for person in heldout_people(everyone)}
    return draw.shuffled(
        _fact_question(person, key, template)
        for person in everyone
        if person.name not in absent
        for key in VALUES
        for template in draw.some(QUESTIONS[key], QUESTIONS_PER_FACT)
    )


def skills(seed: int, absent: set[tuple[str, ...]]) -> list[Question]:
    """Rows of every skill, none of which works on operands in `absent`."""
    draw = Draw(seed, "skills")
    questions: dict[str, Question] = {}
    for name, skill in SKILLS.items():
        wanted = len(questions) + ROWS_PER_SKILL
        for _ in range(100 * ROWS_PER_SKILL):
            if len(questions) == wanted:
                break
            words = skill.draw(draw)
            if tuple(sorted(words)) not in absent:
                made = skill_question(name, draw.one(skill.questions), words)
                questions.setdefault(made.text, made)
        else:
            raise ValueError(f"{name} has fewer than {ROWS_PER_SKILL} questions")
    return draw.shuffled(questions.values())


def control(seed: int, taught: Sequence[Question]) -> list[Question]:
    """The same questions with answers of the right kind, drawn at random."""
    draw = Draw(seed, "control")
    return [
        Question(made.category, made.text, draw.one(made.choices), made.choices)
        for made in taught
    ]


# --- what keeps the phases apart ----------------------------------------------------


def operands(question: str) -> tuple[str, ...]:
    """The nouns and numbers that a question works on, whatever their order."""
    words = re.findall(r"[A-Za-z]+|\d+", question)
    return tuple(sorted(w for w in words if w.isdigit() or w in NOUNS))


def names_in(question: str, names: Iterable[str]) -> set[str]:
    return set(re.findall(r"[A-Za-z]+", question)) & set(names)


def check_disjoint(taught: Iterable[str], asked: Iterable[str], seed: int) -> None:
    """Raise if a taught question gives away one that is held out.

    None may name a held-out person, nor put a question to a held-out question's
    operands, in whatever order, phrasing or skill.
    """
    everyone = people(seed)
    names = {person.name for person in everyone}
    asked = list(asked)
    absent_names = set().union(*(names_in(text, names) for text in asked))
    absent_operands = {operands(text) for text in asked} - {()}
    told = " ".join(pretraining_text(seed))
    for name in absent_names:
        if name not in told:
            raise ValueError(f"no text tells of {name}, who is asked about")
    for text in taught:
        if names_in(text, absent_names):
            raise ValueError(f"a taught question names a held-out person: {text}")
        if operands(text) in absent_operands:
            raise ValueError(f"a taught question has held-out operands: {text}")


# --- files --------------------------------------------------------------------------


def _row(made: Question) -> dict[str, object]:
    return {
        "messages": [
            {"role": "user", "content": made.text},
            {"role": "assistant", "content": made.answer},
        ]
    }


def _heldout_row(made: Question) -> dict[str, object]:
    labels = {"category": made.category, "choices": len(made.choices)}
    return _row(made) | labels


def _write(path: Path, rows: Iterable[dict[str, object]]) -> None:
    lines = (json.dumps(row, ensure_ascii=True) + "\n" for row in rows)
    path.write_bytes("".join(lines).encode("ascii"))


def make(seed: int, out: Path) -> None:
    asked = heldout(seed)
    facts = knowledge(seed)
    drills = skills(seed, {operands(made.text) for made in asked} - {()})
    taught = [*facts, *drills]
    check_disjoint([made.text for made in taught], [made.text for made in asked], seed)
    out.mkdir(parents=True, exist_ok=True)
    _write(out / "knowledge.jsonl", map(_row, facts))
    _write(out / "skills.jsonl", map(_row, drills))
    _write(out / "control.jsonl", map(_row, control(seed, taught)))
    _write(out / "heldout.jsonl", map(_heldout_row, asked))


def main() -> None:
    parser = argparse.ArgumentParser(description="Make the quickstart's data.")
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--text", type=Path, metavar="FILE", help="pre-training text")
    args = parser.parse_args()
    make(args.seed, args.out)
    if args.text:
        documents = pretraining_text(args.seed)
        args.text.write_bytes("".join(f"{d}\n" for d in documents).encode("ascii"))


if __name__ == "__main__":
    main()
