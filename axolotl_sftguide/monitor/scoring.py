"""Exact match on held-out questions, with greedy decoding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..config.json_text import parse_json
from ..errors import Problem, SettingsError


@dataclass(frozen=True, slots=True)
class Question:
    """A conversation without its last turn, and that turn as the right answer."""

    messages: tuple[dict[str, str], ...]
    answer: str


def load_questions(path: str | Path) -> list[Question]:
    """Questions from JSONL rows with a `messages` list that ends in the answer.

    Raises:
        SettingsError: If the file cannot be read or a row has no answer.
    """
    try:
        with Path(path).open(encoding="utf-8") as file:
            lines = list(file)  # str.splitlines would also cut at U+2028 in a text
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or error
        remedy = "name a JSONL file of `messages`"
        raise _refused(f"{path}: cannot be read ({why})", remedy) from None
    questions = []
    for index, line in enumerate(lines, start=1):
        try:
            *asked, last = parse_json(line)["messages"]
            if not all(_is_turn(turn) for turn in (*asked, last)):
                raise ValueError("each turn must have a role and text content")
            if last["role"] != "assistant" or not asked:
                raise ValueError("needs at least two turns, the last by the assistant")
            questions.append(Question(tuple(asked), str(last["content"]).strip()))
        except (KeyError, TypeError, ValueError) as error:
            raise _refused(f"{path}: line {index} ({error})") from None
    if not questions:
        raise _refused(f"{path}: contains no questions")
    return questions


def _is_turn(turn: Any) -> bool:
    return isinstance(turn, dict) and all(
        isinstance(turn.get(key), str) for key in ("role", "content")
    )


def _refused(message: str, remedy: str = "") -> SettingsError:
    return SettingsError([Problem("sftguide.score.data_path", message, remedy)])


def score_exact_match(
    model: Any,
    tokenizer: Any,
    questions: Sequence[Question],
    *,
    max_new_tokens: int,
    batch_size: int,
) -> float:
    """The share of questions answered exactly right by greedy decoding.

    Leading and trailing whitespace is ignored. The model's training mode is restored,
    and no random number is drawn.
    Models whose parameters are sharded over ranks cannot be scored this way.
    """
    import torch

    was_training = model.training
    model.eval()
    right = 0
    try:
        with torch.no_grad():
            for start in range(0, len(questions), batch_size):
                batch = questions[start : start + batch_size]
                answers = _answers(model, tokenizer, batch, max_new_tokens)
                right += sum(
                    answer == question.answer
                    for answer, question in zip(answers, batch, strict=True)
                )
    finally:
        model.train(was_training)
    return right / len(questions)


def _answers(
    model: Any, tokenizer: Any, batch: Sequence[Question], max_new_tokens: int
) -> list[str]:
    import torch

    prompts = [
        tokenizer.apply_chat_template(
            list(q.messages),
            add_generation_prompt=True,
            tokenize=True,
            return_dict=False,
        )
        for q in batch
    ]
    width = max(len(p) for p in prompts)
    pad = tokenizer.pad_token_id
    pad = tokenizer.eos_token_id if pad is None else pad
    device = next(model.parameters()).device
    ids = torch.tensor([[pad] * (width - len(p)) + p for p in prompts], device=device)
    mask = torch.tensor(
        [[0] * (width - len(p)) + [1] * len(p) for p in prompts], device=device
    )
    generated = model.generate(
        input_ids=ids,
        attention_mask=mask,
        max_new_tokens=max_new_tokens,
        do_sample=False,
        num_beams=1,
        temperature=None,
        top_p=None,
        top_k=None,
        pad_token_id=pad,
        eos_token_id=tokenizer.eos_token_id,
    )
    texts = tokenizer.batch_decode(generated[:, width:], skip_special_tokens=True)
    return [text.strip() for text in texts]
