"""`sftguide new`: a config for a model, data and a card, with its reasons."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from . import new_page
from .common import echo, echo_json
from .memory_size import MemorySize
from .new_questions import ask, gpu_memory
from .numbers import MOST_GPUS, MOST_SEED, Number, WholeNumber

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..authoring import Authored, DataFacts, ModelFacts


@click.command()
@click.option("--model", help="The model: a name on the Hub, or a folder.")
@click.option(
    "--data",
    "data",
    multiple=True,
    help="A file, folder or dataset; may be given several times.",
)
@click.option("--gpu-memory", "gpu_bytes", type=MemorySize(), help="Memory of one GPU.")
@click.option("--gpus", type=WholeNumber(1, MOST_GPUS), default=1, show_default=True)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where to write. Default: my-run.yml, or my-run.py for TRL.",
)
@click.option("--force", is_flag=True, help="Overwrite existing files.")
@click.option(
    "--goal",
    type=click.Choice(["general", "style", "reasoning"]),
    help="What the model is tuned for. Default: chosen by the data.",
)
@click.option(
    "--trainer",
    type=click.Choice(["axolotl", "trl"]),
    default="axolotl",
    show_default=True,
    help="Write a YAML for Axolotl, or a script for TRL.",
)
@click.option("--sweep", is_flag=True, help="Also write a search space.")
@click.option(
    "--adapter",
    type=click.Choice(["none", "lora", "qlora"]),
    help="`none` is full fine-tuning.",
)
@click.option(
    "--parallel",
    type=click.Choice(["ddp", "fsdp", "zero"]),
    help="How several GPUs share the work.",
)
@click.option("--chat-template", help="Axolotl's name of a template.")
@click.option("--sequence-len", type=WholeNumber(16), help="In tokens.")
@click.option("--packing/--no-packing", default=None, help="Several rows per sequence.")
@click.option("--micro-batch-size", type=WholeNumber(1), help="Rows on one GPU.")
@click.option(
    "--effective-batch-size",
    type=WholeNumber(1),
    help="Samples per optimizer step, on all GPUs.",
)
@click.option("--learning-rate", type=Number(min=0, min_open=True))
@click.option("--scheduler", help="Such as constant or cosine.")
@click.option("--epochs", type=Number(min=0, min_open=True))
@click.option("--lora-r", type=WholeNumber(1), help="Rank of the adapter.")
@click.option(
    "--held-out",
    type=Number(min=0, max=0.5, min_open=True),
    help="Share of the rows for evaluation.",
)
@click.option("--seed", type=WholeNumber(0, MOST_SEED))
@click.option("--storage", metavar="URL", help="Run history used to estimate time.")
@click.option("--explain", is_flag=True, help="Show evidence for each number.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def new(
    model: str | None,
    data: tuple[str, ...],
    gpu_bytes: int | None,
    output: Path | None,
    force: bool,
    adapter: str | None,
    parallel: Any,
    trainer: Any,
    sweep: bool,
    storage: str | None,
    explain: bool,
    as_json: bool,
    **given: Any,
) -> None:
    """Write a config for your data, model and card, with a reason for each number.

    The data are read whole: their form, lengths and duplicates. Full fine-tuning, LoRA
    or QLoRA is chosen by what fits. Batch, learning rate and epochs follow published
    evidence for this many rows and this kind of training; a comment beside each number
    names it. Any choice can be given as an option instead.

    \b
      sftguide new --model Qwen/Qwen3-8B-Base --data chats.jsonl \\
        --gpu-memory 24GiB -o my-run.yml

    Lengths are counted with the model's tokenizer if it is on this machine, and
    estimated from characters otherwise. Nothing is downloaded but config.json.
    """
    from ..authoring import (
        Request,
        as_script,
        as_space,
        as_yaml,
        author,
        read_model,
        trials,
    )
    from ..errors import SFTGuideError

    if sweep and trainer == "trl":
        raise SFTGuideError("--sweep: a sweep trains with Axolotl; leave out --trainer")
    model = model or ask("--model", "Which model (name on the Hub, or a folder)?")
    data = data or (ask("--data", "Which data (a file, a folder, or a dataset)?"),)
    output = output or Path("my-run.py" if trainer == "trl" else "my-run.yml")
    space = output.with_name(f"{output.stem}-sweep.yml") if sweep else None
    _refuse_suffix(output, trainer)
    _refuse_overwriting([output, *([space] if space else [])], force)
    facts = read_model(model)
    if gpu_bytes is None:  # a wrong path is an error before the question, not after
        _require_rows(data)
        gpu_bytes = gpu_memory()
    rows = _rows(data, facts)
    request = Request(
        model,
        data,
        gpu_bytes,
        name=output.stem,
        trainer=trainer,
        training="full" if adapter == "none" else adapter,  # type: ignore[arg-type]
        sharding=parallel,
        **given,
    )
    made = author(request, facts, rows)
    if space is not None and len(trials(made)) == 1:
        echo(
            "--sweep: the evidence leaves nothing open; no sweep was written", err=True
        )
        space = None
    written = {output: as_yaml(made, str(output), str(space or ""))}
    if trainer == "trl":
        written = {output: as_script(made, str(output))}
    if space is not None:
        written[space] = as_space(made, str(output), str(space))
    for path, text in written.items():
        _write(path, text)
    past = _past(storage, made)
    if as_json:
        answer = new_page.as_dict(made, [str(path) for path in written], past)
        echo_json(answer)
        return
    if explain:
        new_page.print_chain(made)
    new_page.print_summary(made, output, space, past)


def _require_rows(data: tuple[str, ...]) -> None:
    """Read the first row of each source, so that a wrong path is an error at once."""
    with _naming_the_extra():
        from ..config.mix_settings import SourceSettings
        from ..mixing import scan

        for path in data:
            next(scan(SourceSettings(path=path), Path.cwd().resolve()), None)


def _rows(data: tuple[str, ...], facts: ModelFacts) -> DataFacts:
    """The facts of the data."""
    from ..authoring import read_data
    from ..errors import MixError

    with _naming_the_extra():
        from ..mixing import text_counter

        count = None
        if facts.tokenizer is not None:
            try:
                count = text_counter(facts.tokenizer)
            except MixError as error:
                echo(f"{error}; lengths are estimated from characters", err=True)
        return read_data(data, vocabulary=facts.vocabulary, count=count)


@contextmanager
def _naming_the_extra() -> Iterator[None]:
    """The error of a missing library says which extra installs it."""
    from ..errors import SFTGuideError

    try:
        yield
    except ImportError as error:
        raise SFTGuideError(
            f"--data cannot be read ({error}); pip install 'axolotl-sftguide[mix]'"
        ) from None


def _refuse_suffix(output: Path, trainer: str) -> None:
    """Refuse a script that is named as a config, and a config named as a script."""
    from ..errors import SFTGuideError

    if trainer == "trl" and output.suffix in (".yml", ".yaml"):
        raise SFTGuideError(
            f"-o {output}: --trainer trl writes a Python script; "
            f"write -o {output.with_suffix('.py')}"
        )
    if trainer == "axolotl" and output.suffix == ".py":
        raise SFTGuideError(
            f"-o {output}: a config for Axolotl is a YAML file; "
            f"write -o {output.with_suffix('.yml')}, or add --trainer trl"
        )


def _refuse_overwriting(paths: list[Path], force: bool) -> None:
    from ..errors import SFTGuideError

    for path in paths:
        if path.exists() and not force:
            raise SFTGuideError(
                f"{path} already exists; pass --force to overwrite it, or another -o"
            )


def _write(path: Path, text: str) -> None:
    from ..errors import SFTGuideError

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise SFTGuideError(f"{path}: cannot be written ({error.strerror})") from None


def _past(storage: str | None, made: Authored) -> list[Any]:
    """Throughput of similar runs in the history."""
    from ..errors import StorageError
    from ..runs.history import RunHistory, is_there
    from ..runs.throughput import past_throughput

    if not is_there(storage):
        return []
    try:
        runs = RunHistory(storage).runs(with_config=False)
        return past_throughput(runs, made.config)
    except StorageError:
        return []
