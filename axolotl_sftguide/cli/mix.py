"""`sftguide mix`: phases in, one dataset out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import SFTGuideError

if TYPE_CHECKING:
    from ..mixing import Mixed


class _MixGroup(click.Group):
    """`mix verify DIR` beside `mix SPEC`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ("--help", "-h"):
            args = ["make", *args]
        return super().parse_args(ctx, args)


@click.group(cls=_MixGroup, subcommand_metavar="SPEC | verify DIR")
def mix() -> None:
    """Make one dataset of phases; or prove one that was made."""


@mix.command("make", hidden=True)
@click.argument("spec", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output-dir",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("outputs/mixes"),
    show_default=True,
    help="Where the mix's own folder is made.",
)
@click.option("--strategy", type=click.Choice(["stacked", "phased"]))
@click.option("--seed", type=click.IntRange(min=0))
@click.option("--workers", type=click.IntRange(min=1), help="Else one for each core.")
@click.option("--json", "as_json", is_flag=True, help="Print the manifest instead.")
def make(
    spec: Path,
    output_dir: Path,
    strategy: str | None,
    seed: int | None,
    workers: int | None,
    as_json: bool,
) -> None:
    """Make one dataset of the phases in SPEC, a YAML file."""
    mixing = _mixing()
    from .mix_tables import MixProgress, print_mix

    settings = mixing.read_mix(spec)
    given = {"strategy": strategy, "seed": seed}
    changed = {key: value for key, value in given.items() if value is not None}
    if changed:
        settings = mixing.MixSettings.model_validate(settings.model_dump() | changed)
    with MixProgress() as progress:
        mixed = mixing.mix(settings, output_dir, workers=workers, progress=progress)
    if as_json:
        click.echo(mixed.manifest.to_json(), nl=False)
        return
    print_mix(mixed)
    click.echo(_entry(mixed))


@mix.command("verify", short_help="Verify a mix against its sources.")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.pass_context
def verify_mix(ctx: click.Context, folder: Path) -> None:
    """Build DIR once more from its sources and compare; exit status 1 where it differs.

    Run it where the mix was made: relative paths start from the working folder.
    """
    problems = _mixing().verify(folder)
    for problem in problems:
        click.echo(problem, err=True)
    if problems:
        ctx.exit(1)
    click.echo(f"{folder}: is what its sources and its spec give")


def _mixing() -> Any:
    """The package that mixes, or one line on what it lacks."""
    try:
        from .. import mixing
    except ImportError as error:
        raise SFTGuideError(f"{error}; pip install 'axolotl-sftguide[mix]'") from None
    return mixing


def _entry(mixed: Mixed) -> str:
    """What to write into a config of Axolotl, or into a script for TRL."""
    import yaml

    from ..mixing import load_mix

    entry: dict[str, Any] = {
        "path": str(mixed.data),
        "ds_type": "json",
        "type": "chat_template",
        **load_mix(mixed.manifest.settings).of_the_whole,
    }
    if mixed.manifest.trains_by_turn:
        entry["message_field_training"] = "train"
    config: dict[str, Any] = {"datasets": [entry]}
    if mixed.held_out is not None:
        config["test_datasets"] = [
            {**entry, "path": str(mixed.held_out), "split": "train"}
        ]
    config |= {"shuffle_merged_datasets": False, "curriculum_sampling": True}
    return str(yaml.safe_dump(config, sort_keys=False)).rstrip()
