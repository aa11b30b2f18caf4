"""The versions of the libraries that decide which rows a mix has, or their bytes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ..config.installed import installed_version
from ..config.mix_settings import MixSettings


def versions_of(settings: MixSettings, written: Mapping[str, object]) -> dict[str, str]:
    """The installed versions of the libraries that a mix depends on.

    All else depends on the settings and the files alone.

    Args:
        settings: The settings of the mix.
        written: Its files by their names.
    """
    names = []
    if any(name.endswith(".parquet") for name in written):
        names.append("pyarrow")
    if settings.near_duplicates is not None:
        names.append("rensa")
    if settings.tokenizer is not None:
        names += ["jinja2", "tokenizers", "transformers"]
    return {name: installed_version(name) or "" for name in names}


def other_versions(versions: Mapping[str, str]) -> Iterator[str]:
    """The libraries whose installed version differs, one line each."""
    for name, then in versions.items():
        now = installed_version(name) or ""
        if now != then:
            yield f"made with {name} {then}, and {now or 'none'} is installed"
