"""`sftguide mix`: several phases in, one dataset out."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import SFTGuideError
from .common import answer, echo, echo_json, give_common_options, progress
from .numbers import WholeNumber

if TYPE_CHECKING:
    from ..mixing import Mixed


class _MixOrVerify(click.Command):
    """`mix SPEC`, and the separate command `mix verify FOLDER`."""

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        if args[:1] == ["verify"]:
            name = f"{info_name} verify"
            return verify_mix.make_context(name, args[1:], parent, **extra)
        return super().make_context(info_name, args, parent, **extra)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            summary = verify_mix.get_short_help_str()
            formatter.write_dl([("verify FOLDER", summary)])


_HELP = {"help_option_names": ["-h", "--help"]}


@click.command("mix", cls=_MixOrVerify, context_settings=_HELP)
@click.argument("spec", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output-dir",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("outputs/mixes"),
    show_default=True,
    help="Where the folder of the mix is created.",
)
@click.option(
    "--strategy",
    type=click.Choice(["stacked", "phased"]),
    help="Mix all phases, or train one after the other.",
)
@click.option("--seed", type=WholeNumber(0), help="Seed of the order.")
@click.option(
    "--workers",
    type=WholeNumber(1),
    help="Number of processes.  [default: one per CPU core]",
)
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print the manifest as JSON; with --preview, the conversations.",
)
@click.option(
    "--preview",
    is_flag=True,
    help="Print the first conversations of each source, with what is trained on "
    "marked, and build nothing.",
)
@click.option(
    "--preview-rows",
    type=WholeNumber(1),
    default=2,
    show_default=True,
    help="With --preview: conversations per source.",
)
@click.option(
    "--tokenizer",
    help="With --preview: the model whose chat template is applied.  "
    "[default: tokenizer in SPEC]",
)
@click.option(
    "--sequence-len",
    type=WholeNumber(1),
    help="Count the rows with more tokens.  [default: sequence_len in SPEC]",
)
def mix(
    spec: Path,
    output_dir: Path,
    strategy: str | None,
    seed: int | None,
    workers: int | None,
    as_json: bool,
    preview: bool,
    preview_rows: int,
    tokenizer: str | None,
    sequence_len: int | None,
) -> None:
    """Build one dataset from the phases in SPEC, or verify one.

    SPEC is a YAML file with `phases`, or an Axolotl config with `sftguide.mix`.
    """
    mixing = _mixing()
    from .mix_lengths import lines_of, sequence_len_of
    from .mix_tables import MixProgress, print_mix

    settings = mixing.read_mix(spec)
    given = {"strategy": strategy, "seed": seed}
    changed = {key: value for key, value in given.items() if value is not None}
    if changed:
        values = settings.model_dump() | changed
        settings = mixing.load_mix(values, path=str(spec))
    sequence_len = sequence_len or sequence_len_of(spec)
    if preview:
        from .mix_preview import print_preview

        found = mixing.preview(settings, rows=preview_rows, tokenizer=tokenizer)
        if as_json:
            answer([asdict(source) for source in found])
        else:
            print_preview(found, sequence_len)
        return
    try:
        with MixProgress() as progress:
            mixed = mixing.mix(settings, output_dir, workers=workers, progress=progress)
    except KeyboardInterrupt:
        echo("Interrupted: no mix was written.", err=True)
        raise click.exceptions.Exit(130) from None
    if as_json:
        echo_json(asdict(mixed.manifest))
        return
    print_mix(mixed)
    if mixed.manifest.lengths is not None:
        for line in lines_of(mixed.manifest.lengths, sequence_len, "Rows"):
            echo(line)
    echo("\n# For an Axolotl config:")
    echo(_entry(mixed))


@click.command(
    "verify", short_help="Verify a mix against its sources.", context_settings=_HELP
)
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.pass_context
def verify_mix(ctx: click.Context, folder: Path) -> None:
    """Build the mix in FOLDER again and compare it.

    Exits with status 1 if it differs. Run it in the folder where the mix was built,
    as relative paths are resolved against the working folder.
    """
    mixing = _mixing()
    with progress(f"building {folder} again"):
        problems = mixing.verify(folder)
    for problem in problems:
        echo(problem, err=True)
    lines = [] if problems else [f"{folder}: matches its sources and its spec"]
    answer({"folder": str(folder), "problems": problems}, *lines)
    if problems:
        ctx.exit(1)
    for note in mixing.version_notes(folder):
        echo(f"Note: {note}", err=True)


give_common_options(verify_mix)


def _mixing() -> Any:
    """The mixing package, or one line that names a missing dependency."""
    try:
        from .. import mixing
        from ..mixing import mix as _  # noqa: F401  loads the extra's dependencies
    except ImportError as error:
        raise SFTGuideError(f"{error}; pip install 'axolotl-sftguide[mix]'") from None
    return mixing


def _entry(mixed: Mixed) -> str:
    """The lines that an Axolotl config needs."""
    import yaml

    from ..mixing import load_mix

    entry: dict[str, Any] = {
        "path": str(mixed.data),
        "ds_type": mixed.manifest.ds_type,
        "type": "chat_template",
        **load_mix(mixed.manifest.settings).host_settings,
        **mixed.manifest.training_fields,
    }
    config: dict[str, Any] = {"datasets": [entry]}
    if mixed.held_out is not None:
        config["test_datasets"] = [
            {**entry, "path": str(mixed.held_out), "split": "train"}
        ]
    config |= {"shuffle_merged_datasets": False, "curriculum_sampling": True}
    return str(yaml.safe_dump(config, sort_keys=False)).rstrip()
