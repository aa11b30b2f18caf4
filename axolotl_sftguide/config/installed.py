"""Versions of installed packages."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version


def installed_version(name: str) -> str | None:
    """The installed version of a package, or None; the package is not imported."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None
