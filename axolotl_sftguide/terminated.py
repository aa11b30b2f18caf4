"""Deprecated name of `axolotl_sftguide.runs.marker`."""

import warnings

from .runs.marker import (
    MARKER as MARKER,
)
from .runs.marker import (
    Termination as Termination,
)
from .runs.marker import (
    checkpoint_step as checkpoint_step,
)
from .runs.marker import (
    clear as clear,
)
from .runs.marker import (
    last_good_checkpoint as last_good_checkpoint,
)
from .runs.marker import (
    latest_checkpoint as latest_checkpoint,
)
from .runs.marker import (
    mark as mark,
)
from .runs.marker import (
    read_marker as read_marker,
)

warnings.warn(
    "`axolotl_sftguide.terminated` is deprecated and will be removed in version 2.0; "
    "import from `axolotl_sftguide.runs.marker`",
    DeprecationWarning,
    stacklevel=2,
)
