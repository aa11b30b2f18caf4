"""Deprecated name of `axolotl_sftguide.runs.traces`."""

import warnings

from .runs.traces import (
    FORM as FORM,
)
from .runs.traces import (
    PATTERN as PATTERN,
)
from .runs.traces import (
    Trace as Trace,
)
from .runs.traces import (
    TraceWriter as TraceWriter,
)
from .runs.traces import (
    find_traces as find_traces,
)
from .runs.traces import (
    read_trace as read_trace,
)
from .runs.traces import (
    to_line as to_line,
)
from .runs.traces import (
    trace_path as trace_path,
)

warnings.warn(
    "`axolotl_sftguide.traces` is deprecated and will be removed in version 2.0; "
    "import from `axolotl_sftguide.runs.traces`",
    DeprecationWarning,
    stacklevel=2,
)
