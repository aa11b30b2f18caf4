"""Campaigns: hostile inputs, names and secrets."""

from __future__ import annotations

import configs
import data_files
import data_folders
import masking
import names
import options
import paths
import records
import verdicts
from campaign import Campaign

CAMPAIGNS: tuple[Campaign, ...] = (
    *configs.CAMPAIGNS,
    *options.CAMPAIGNS,
    *records.CAMPAIGNS,
    *data_files.CAMPAIGNS,
    *data_folders.CAMPAIGNS,
    *names.CAMPAIGNS,
    *paths.CAMPAIGNS,
    *masking.CAMPAIGNS,
    *verdicts.CAMPAIGNS,
)
