"""The loss of each source equals that of its samples, one by one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from by_source import (
    SOURCES,
    UNKNOWN,
    Row,
    losses,
    rows_of_parts,
    tokenised,
    write_stacked,
)
from click.testing import CliRunner
from datasets import Dataset, load_dataset
from hosts import Outcome, make_sft_trainer
from peft import PromptTuningConfig
from same_bits import assert_same_bits
from tiny import WORDS
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer

from axolotl_sftguide import watch
from axolotl_sftguide.cli import main
from axolotl_sftguide.monitor.source_table import SourceTable
from axolotl_sftguide.runs.traces import find_traces, read_trace
from axolotl_sftguide.signals.sources import (
    HELD_OUT_EVENT,
    TRAINING_EVENT,
    read_events,
    total,
)


@pytest.fixture(scope="session")
def stacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_stacked(tmp_path_factory.mktemp("stacked") / "rows.jsonl")


@pytest.fixture
def train(base: Path, stacked: Path, tmp_path: Path) -> Callable[..., Outcome]:
    """Trains on the stacked rows; `watched` are the arguments of `watch`."""

    def run(
        watched: dict[str, Any] | None,
        prepare: Callable[[Any], Any] | None = None,
        **overrides: Any,
    ) -> Outcome:
        raw = load_dataset("json", data_files=str(stacked), split="train")
        held_out = raw.select(range(8)) if "eval_strategy" in overrides else None
        settings = {"assistant_only_loss": False, **overrides}
        trainer, _ = make_sft_trainer(base, stacked, tmp_path, **settings)
        if prepare is not None:
            prepare(trainer)
        if watched is not None:
            watch(trainer, train_dataset=raw, eval_dataset=held_out, **watched)
        trainer.train()
        return Outcome(Path(trainer.args.output_dir), trainer, None)

    return run


BY_SOURCE = {"loss_by_source": "source", "loss_by_source_every": 1}
WHOLE_EPOCH = {"num_train_epochs": 1, "max_steps": -1, "learning_rate": 0.0}
"""Weights stay as they are, so that the losses can be computed again afterwards."""

PACKINGS = {
    "padded": {},
    "cut": {"max_length": 20},
    "padding-free": {"padding_free": True, "max_length": None},
    "packed whole": {"packing": True, "packing_strategy": "bfd"},
    "packed in parts": {
        "packing": True,
        "packing_strategy": "bfd_split",
        "max_length": 24,
    },
}


ARMS: dict[str, dict[str, Any]] = {
    "lora": {},
    "bf16": {"bf16": True},
    "checkpointing": {"gradient_checkpointing": True},
    # The chunked loss takes no label smoothing.
    "smoothed": {"label_smoothing_factor": 0.1, "loss_type": "nll"},
}


def samples_of(dataset: Any) -> list[tuple[list[int], list[int]]]:
    """The samples of prepared rows, packed ones taken apart."""
    found = []
    for row in dataset:
        start = 0
        for length in row.get("seq_lengths") or [len(row["input_ids"])]:
            part = slice(start, start + length)
            found.append((row["input_ids"][part], row["labels"][part]))
            start += length
    return found


def recorded(outcome: Outcome) -> Any:
    return total(read_events(outcome.trace.events, TRAINING_EVENT))


@pytest.mark.parametrize("loss", [{"loss_type": "nll"}, {}])
@pytest.mark.parametrize("packing", PACKINGS)
def test_each_source_has_the_loss_of_its_samples(
    train: Callable[..., Outcome], stacked: Path, packing: str, loss: dict[str, str]
) -> None:
    outcome = train(
        BY_SOURCE,
        **loss,
        logging_steps=7,
        **WHOLE_EPOCH,
        **PACKINGS[packing],
    )
    trainer = outcome.trainer
    whole = tokenised(stacked, trainer.processing_class)
    length = trainer.args.max_length or 1_000
    rows = rows_of_parts(samples_of(trainer.train_dataset), whole, length)
    expected, tokens = losses(trainer.model, rows)
    found = recorded(outcome)
    assert found.unknown_tokens == tokens.pop(UNKNOWN, 0)
    expected.pop(UNKNOWN, None)
    assert set(tokens) == set(SOURCES)
    assert found.tokens == tokens
    assert found.loss == pytest.approx(expected, rel=2e-5)


def test_rows_that_are_cut_anywhere_have_the_loss_of_their_tokens(
    train: Callable[..., Outcome], stacked: Path
) -> None:
    outcome = train(
        BY_SOURCE,
        packing=True,
        packing_strategy="wrapped",
        max_length=64,
        **WHOLE_EPOCH,
    )
    trainer, length = outcome.trainer, 64
    whole = tokenised(stacked, trainer.processing_class)
    ids = [token for tokens, _ in whole for token in tokens]
    sources = [name for tokens, name in whole for _ in tokens]
    starts = range(0, len(ids), length)
    rows = [
        Row(ids[i : i + length], ids[i : i + length], sources[i : i + length])
        for i in starts
    ]
    assert [row.ids for row in rows] == trainer.train_dataset["input_ids"][:]
    loss, counted = losses(trainer.model, rows)
    assert recorded(outcome).tokens == counted
    assert recorded(outcome).loss == pytest.approx(loss, rel=2e-5)


@pytest.mark.parametrize("loss", [{"loss_type": "nll"}, {}])
@pytest.mark.parametrize("packing", ["padded", "packed whole"])
def test_a_run_with_loss_by_source_is_the_run_without_it(
    train: Callable[..., Outcome],
    tmp_path: Path,
    packing: str,
    loss: dict[str, str],
) -> None:
    settings = {**PACKINGS[packing], **loss}
    unwatched = train(None, output_dir=str(tmp_path / "a"), **settings)
    watched = train(BY_SOURCE, output_dir=str(tmp_path / "b"), **settings)
    assert_same_bits(unwatched, watched)
    assert any(key.startswith("sftguide/loss/") for key in watched.logs[0])


@pytest.mark.parametrize("packing", ["padded", "packed whole"])
def test_a_held_out_part_has_a_loss_for_each_source(
    train: Callable[..., Outcome], stacked: Path, packing: str
) -> None:
    outcome = train(
        BY_SOURCE,
        eval_strategy="steps",
        eval_steps=4,
        **PACKINGS[packing],
    )
    evaluations = read_events(outcome.trace.events, HELD_OUT_EVENT)
    assert [found.step for found in evaluations] == [4, 8, 12]
    trainer = outcome.trainer
    whole = tokenised(stacked, trainer.processing_class)
    rows = rows_of_parts(samples_of(trainer.eval_dataset), whole, 64)
    expected, tokens = losses(trainer.model, rows)
    assert evaluations[-1].tokens == tokens
    assert evaluations[-1].loss == pytest.approx(expected, rel=2e-5)
    logged = [log for log in trainer.state.log_history if "eval_loss" in log][-1]
    name = next(iter(tokens))
    assert logged[f"eval_sftguide/loss/{name}"] == evaluations[-1].loss[name]


def test_packed_rows_without_the_data_cost_only_the_loss_by_source(
    base: Path, stacked: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trainer, _ = make_sft_trainer(
        base, stacked, tmp_path, packing=True, assistant_only_loss=False
    )
    watch(trainer, loss_by_source="source")
    trainer.train()
    outcome = Outcome(Path(trainer.args.output_dir), trainer, None)
    said = capsys.readouterr().out
    assert "watch(trainer, loss_by_source='source', train_dataset=dataset)" in said
    assert len(outcome.trace.observations) == 12
    assert read_events(outcome.trace.events, TRAINING_EVENT) == []


def test_the_curves_are_in_the_run_page(train: Callable[..., Outcome]) -> None:
    outcome = train(BY_SOURCE, eval_strategy="steps", eval_steps=4)
    shown = CliRunner().invoke(main, ["runs", "show", outcome.run.id]).output
    for name in SOURCES:
        assert f"loss of {name}" in shown
    assert "held-out loss of" in shown


@pytest.mark.parametrize("loss", [{"loss_type": "nll"}, {}])
def test_measuring_on_some_steps_leaves_the_others_out(
    train: Callable[..., Outcome], loss: dict[str, str]
) -> None:
    outcome = train({**BY_SOURCE, "loss_by_source_every": 5}, **loss)
    events = read_events(outcome.trace.events, TRAINING_EVENT)
    assert [found.step for found in events] == [1, 6, 11]


@pytest.mark.parametrize("arm", ARMS)
@pytest.mark.parametrize("loss", [{"loss_type": "nll"}, {}])
def test_other_trainings_are_measured_and_unchanged(
    train: Callable[..., Outcome],
    adapter: Path,
    tmp_path: Path,
    arm: str,
    loss: dict[str, str],
) -> None:
    settings = {**loss, **ARMS[arm]}
    if arm == "lora":
        settings["lora"] = adapter
    unwatched = train(None, output_dir=str(tmp_path / "a"), **settings)
    watched = train(BY_SOURCE, output_dir=str(tmp_path / "b"), **settings)
    assert_same_bits(unwatched, watched)
    events = read_events(watched.trace.events, TRAINING_EVENT)
    trained = {o.step: o.loss for o in watched.trace.observations}
    assert [found.step for found in events] == list(trained)
    for found in events:
        mean = sum(found.loss[n] * found.tokens[n] for n in found.loss)
        mean /= sum(found.tokens.values())
        assert found.unknown_tokens == 0
        if arm != "smoothed":  # the trained loss is another one
            assert mean == pytest.approx(trained[found.step], rel=0.02)


def plain_sft(
    base: Path,
    folder: Path,
    rows: Any,
    given: dict[str, Any] | None = None,
    **settings: Any,
) -> SFTTrainer:
    """TRL's trainer on rows that a test has made itself."""
    return SFTTrainer(
        model=AutoModelForCausalLM.from_pretrained(base),
        args=SFTConfig(
            output_dir=str(folder / "out"),
            use_cpu=True,
            bf16=False,
            report_to=[],
            save_strategy="no",
            **settings,
        ),
        train_dataset=rows,
        processing_class=AutoTokenizer.from_pretrained(base),
        **(given or {}),
    )


def test_after_virtual_tokens_the_first_token_has_a_loss_too(
    base: Path, stacked: Path, tmp_path: Path
) -> None:
    rows = load_dataset("json", data_files=str(stacked), split="train")
    prompt = PromptTuningConfig(num_virtual_tokens=5, task_type="CAUSAL_LM")
    trainer = plain_sft(
        base,
        tmp_path,
        rows,
        given={"peft_config": prompt},
        num_train_epochs=1,
        gradient_checkpointing=False,
    )
    watch(trainer, loss_by_source="source", loss_by_source_every=1)
    trainer.train()
    (path,) = find_traces(tmp_path)
    found = total(read_events(read_trace(path).events, TRAINING_EVENT))
    assert found is not None
    assert found.unknown_tokens == 0
    counts: Counter[str] = Counter()
    for ids, name in tokenised(stacked, trainer.processing_class):
        counts[name] += len(ids)
    assert found.tokens == counts


def test_losses_that_do_not_add_up_in_training_are_shown_of_evaluations_only(
    train: Callable[..., Outcome], capsys: pytest.CaptureFixture[str]
) -> None:
    def doubled(module: Any, args: Any, output: Any) -> Any:
        output.loss = (1 + module.training) * output.loss
        return output

    outcome = train(
        BY_SOURCE,
        prepare=lambda trainer: trainer.model.register_forward_hook(doubled),
        eval_strategy="steps",
        eval_steps=4,
    )
    said = capsys.readouterr().out
    assert "no loss by source in training: the losses of the tokens do not add" in said
    assert "no loss by source in evaluation" not in said
    assert read_events(outcome.trace.events, TRAINING_EVENT) == []
    assert len(read_events(outcome.trace.events, HELD_OUT_EVENT)) == 3
    assert len(outcome.trace.observations) == 12


def test_a_compiled_model_is_left_alone(
    train: Callable[..., Outcome], capsys: pytest.CaptureFixture[str]
) -> None:
    def prepare(trainer: Any) -> None:
        trainer.args.torch_compile = True  # the trainer was built without it

    outcome = train(BY_SOURCE, prepare=prepare)
    assert (
        "no loss by source in training: a hook would change" in capsys.readouterr().out
    )
    assert read_events(outcome.trace.events, TRAINING_EVENT) == []


def test_a_fault_ends_the_measurement_and_not_the_watch(
    train: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fault(*_: Any) -> None:
        raise ZeroDivisionError("planted")

    monkeypatch.setattr(SourceTable, "sources_of", fault)
    outcome = train(BY_SOURCE)
    assert len(outcome.trace.observations) == 12
    assert outcome.run.status == "finished"


def test_the_trainer_has_its_own_methods_and_no_hooks_afterwards(
    train: Callable[..., Outcome],
) -> None:
    trainer = train(BY_SOURCE).trainer
    assert "training_step" not in vars(trainer)
    assert "prediction_step" not in vars(trainer)
    assert not any(module._forward_hooks for module in trainer.model.modules())


def test_rows_that_are_not_tokenised_cost_only_the_loss_by_source(
    base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    turns = {"prompt": "red dog", "chosen": " cat", "rejected": " sun"}
    trainer = DPOTrainer(
        model=AutoModelForCausalLM.from_pretrained(base),
        args=DPOConfig(
            output_dir=str(tmp_path / "out"),
            max_steps=2,
            use_cpu=True,
            bf16=False,
            report_to=[],
            save_strategy="no",
        ),
        train_dataset=Dataset.from_list([{**turns, "source": "a"}] * 8),
        processing_class=AutoTokenizer.from_pretrained(base),
    )
    watch(trainer, loss_by_source="source")
    trainer.train()
    assert "the rows of DPOTrainer have no input_ids" in capsys.readouterr().out
    (path,) = find_traces(tmp_path)
    assert len(read_trace(path).observations) == 2


def test_the_end_names_the_source_that_no_longer_improves(
    base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def rows(held_out: bool) -> Dataset:
        """What is asked for and what is answered agree in one of the sources only."""
        other = "sun moon" if held_out else "red blue"
        answers = {"steady": "dog cat", "drifting": other}
        asked = [f"{a} {b}" for a in WORDS for b in WORDS][held_out::2]
        return Dataset.from_list(
            [
                {
                    "prompt": f"{name} {words}",
                    "completion": f" {answer}",
                    "source": name,
                }
                for name, answer in answers.items()
                for words in asked[: 8 if held_out else None]
            ]
        )

    trainer = plain_sft(
        base,
        tmp_path,
        rows(held_out=False),
        given={"eval_dataset": rows(held_out=True)},
        per_device_train_batch_size=8,
        max_steps=40,
        eval_strategy="steps",
        eval_steps=4,
        learning_rate=0.003,
        lr_scheduler_type="constant",
    )
    watch(trainer, loss_by_source="source", loss_by_source_every=1)
    trainer.train()
    said = capsys.readouterr().out
    (line,) = [part for part in said.splitlines() if "no longer improves" in part]
    assert "no longer improves for drifting (" in line
    assert "and still does for steady (" in line
    (path,) = find_traces(tmp_path)
    run = read_trace(path).run["id"]
    shown = CliRunner().invoke(main, ["runs", "show", run], env={"COLUMNS": "300"})
    assert line.removeprefix("sftguide: ") in shown.output


def test_streamed_rows_cost_only_the_loss_by_source(
    base: Path, stacked: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = load_dataset("json", data_files=str(stacked), split="train", streaming=True)
    trainer = plain_sft(base, tmp_path, rows, max_steps=4)
    watch(trainer, loss_by_source="source", train_dataset=rows)
    trainer.train()
    assert "the training data are streamed" in capsys.readouterr().out
    (path,) = find_traces(tmp_path)
    assert len(read_trace(path).observations) == 4


def test_an_error_leaves_what_was_measured_before_it(
    train: Callable[..., Outcome], tmp_path: Path
) -> None:
    class Fails(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, args: Any, state: Any, *_: Any, **__: Any) -> None:
            if state.global_step == 7:
                raise RuntimeError("planted")

    with pytest.raises(RuntimeError, match="planted"):
        train(
            BY_SOURCE,
            prepare=lambda trainer: trainer.add_callback(Fails()),
            logging_steps=5,
        )
    (path,) = find_traces(tmp_path)
    events = read_events(read_trace(path).events, TRAINING_EVENT)
    assert [found.step for found in events] == [5, 7]
