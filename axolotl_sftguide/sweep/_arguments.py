"""The arguments for `axolotl train` that follow `--`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..config.host_schema import host_schema
from ..config.settings import BLOCK
from ..errors import Problem, SettingsError

_NOT_IN_THE_CONFIG = ("use_ray",)
"""Keys that `axolotl train` obeys only as options, because they choose the launcher."""


def check_arguments(arguments: Sequence[str]) -> None:
    """Refuse arguments that set keys of the config.

    With a hyphen Axolotl takes them as options, which neither the study nor the config
    of a trial would show; with an underscore it passes them to its launcher, which
    fails. The launcher's own arguments follow another `--`.

    Raises:
        SettingsError: With one problem for each such argument.
    """
    if problems := list(_problems(arguments)):
        raise SettingsError(problems)


def _problems(arguments: Sequence[str]) -> Iterator[Problem]:
    keys = {*host_schema().top, BLOCK} - {*_NOT_IN_THE_CONFIG}
    for place, argument in enumerate(arguments):
        if argument == "--":
            return
        option, _, value = argument.partition("=")
        if not option.startswith("--"):
            continue
        key = option[2:].replace("-", "_")
        if key == "sweep":
            message = "a sweep inside each trial is not possible"
            yield Problem(option, message, "write its values in SPACE")
            continue
        negated = key.removeprefix("no_")
        if negated != key and negated.partition(".")[0] in keys:
            key, value = negated, "false"
        elif key.partition(".")[0] not in keys:
            continue
        following = next(iter(arguments[place + 1 :]), "--")
        value = value or ("true" if following.startswith("--") else following)
        yield Problem(
            option,
            "is a key of the config, and arguments after `--` only start the trials",
            f"write `{key}: {value}` in SPACE, the same in all trials",
        )
