"""Deprecated name of `axolotl_sftguide.runs.history`."""

import warnings

from .runs.history import (
    SCHEMA_VERSION as SCHEMA_VERSION,
)
from .runs.history import (
    SILENT_AFTER_S as SILENT_AFTER_S,
)
from .runs.history import (
    STORAGE_VARIABLE as STORAGE_VARIABLE,
)
from .runs.history import (
    Decision as Decision,
)
from .runs.history import (
    Goal as Goal,
)
from .runs.history import (
    Run as Run,
)
from .runs.history import (
    RunHistory as RunHistory,
)
from .runs.history import (
    Score as Score,
)
from .runs.history import (
    Status as Status,
)
from .runs.history import (
    best_shared_metric as best_shared_metric,
)
from .runs.history import (
    default_storage as default_storage,
)
from .runs.history import (
    is_alive as is_alive,
)
from .runs.history import (
    is_there as is_there,
)
from .runs.history import (
    resolve_storage as resolve_storage,
)
from .runs.history import (
    this_process as this_process,
)

warnings.warn(
    "`axolotl_sftguide.run_history` is deprecated and will be removed in version 2.0; "
    "import from `axolotl_sftguide.runs.history`",
    DeprecationWarning,
    stacklevel=2,
)
