"""A report on runs: one page for a browser, complete in one file.

_view        all that the page shows, as plain values
_run         one run
_curves      its curves, limits and noise scale
_prediction  the score that earlier runs predicted, and the actual score
_files       what `check` and `plan` say of its config file
_words       what happened, in sentences
_scores      the best and the worst scores, in sentences
_thin        curves thinned to what a screen resolves
_figure      one run as a static SVG
_show        the figure in a notebook
_page        the page, from assets/ and vendor/
assets/      its markup, style and scripts
vendor/      uPlot, unmodified, with its licence
"""

from ._page import page_of
from ._show import Figure, show
from ._view import view_of

__all__ = ["Figure", "page_of", "show", "view_of"]
