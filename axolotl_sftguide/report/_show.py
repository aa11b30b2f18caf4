"""A run as a figure in a notebook."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from ..errors import StorageError
from ..runs.history import Run, RunHistory, is_there, resolve_storage
from ..runs.live import LiveReader, earlier_runs
from ._figure import alternative, figure_of
from ._page import page_of
from ._view import view_of

if TYPE_CHECKING:
    from ..runs.live import LiveRun


class Figure:
    """A run as it was when the figure was made.

    A notebook displays it; elsewhere, `svg` is the picture and `str()` its words.
    """

    def __init__(self, live: LiveRun, svg: str, page: str | None = None) -> None:
        self._live = live
        self._page = page
        self.svg = svg
        """The picture, without scripts, as GitHub shows it too."""

    def __repr__(self) -> str:
        return alternative(self._live)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        """The formats for notebooks: the picture, and the report if `interactive`."""
        found = {"text/plain": repr(self), "image/svg+xml": self.svg}
        if self._page is not None:
            found["text/html"] = _framed(self._page, repr(self))
        return found


def show(
    run: str | Run = "latest",
    *,
    study: str | None = None,
    storage: str | None = None,
    interactive: bool = False,
) -> Figure:
    """The loss and gradient norm of a run as a figure, with earlier runs behind it.

    A notebook displays the figure if it is the last value of a cell. It shows the run
    as it is now, also while it trains.

    Args:
        run: An id, the start of an id, a name, `latest`, or a run of a `RunHistory`.
        study: The study in which the run is looked up.
        storage: URL or path of the run history; by default as for the callbacks.
        interactive: Embed the report on the run's study instead, with filters and zoom.
            It needs scripts, so GitHub does not show it.

    Raises:
        StorageError: If the history or the run does not exist.
    """
    if not is_there(storage):
        raise StorageError(f"no runs yet: {resolve_storage(storage)} does not exist")
    history = RunHistory(storage)
    name = run.id if isinstance(run, Run) else run
    found = (
        _latest(history, study) if name == "latest" else history.get(name, study=study)
    )
    try:
        live = LiveReader(history, found).read()
        svg = figure_of(live, *earlier_runs(history, found))
        page = None
        if interactive:
            page = page_of(view_of(history, history.runs(study=found.study)))
        return Figure(live, svg, page)
    finally:
        history.close()


def _latest(history: RunHistory, study: str | None) -> Run:
    found = history.runs(study=study, newest=1)
    if not found:
        where = "" if study is None else f" in study {study!r}"
        raise StorageError(f"run history {history.url}: no runs{where}")
    return found[0]


def _framed(page: str, label: str) -> str:
    """The page in a frame of its own, which may run scripts and nothing else."""
    return (
        f'<iframe title="{escape(label)}" sandbox="allow-scripts" width="100%" '
        f'height="720" style="border:0" srcdoc="{escape(page)}"></iframe>'
    )
