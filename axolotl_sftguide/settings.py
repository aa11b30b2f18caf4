"""Deprecated name of `axolotl_sftguide.config.settings`."""

import warnings

from .config.rule_settings import Action as Action
from .config.rule_settings import CohortSettings as CohortSettings
from .config.rule_settings import ComparisonSettings as ComparisonSettings
from .config.rule_settings import DivergenceSettings as DivergenceSettings
from .config.rule_settings import EarlyTerminationSettings as EarlyTerminationSettings
from .config.rule_settings import NonFiniteSettings as NonFiniteSettings
from .config.rule_settings import NotLearningSettings as NotLearningSettings
from .config.settings import (
    BLOCK as BLOCK,
)
from .config.settings import (
    MonitorSettings as MonitorSettings,
)
from .config.settings import (
    ScoreSettings as ScoreSettings,
)
from .config.settings import (
    Settings as Settings,
)
from .config.settings import (
    early_termination_settings as early_termination_settings,
)
from .config.settings import (
    load_settings as load_settings,
)
from .config.settings import (
    misspelt_block as misspelt_block,
)

warnings.warn(
    "`axolotl_sftguide.settings` is deprecated and will be removed in version 2.0; "
    "import from `axolotl_sftguide.config.settings`",
    DeprecationWarning,
    stacklevel=2,
)
