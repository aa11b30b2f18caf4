"""Secrets do not get into traces and histories; what is none stays."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from axolotl_sftguide.runs.redaction import json_safe


@pytest.mark.parametrize(
    "key",
    "hub_token wandb_api_key api-key HF_TOKEN password db_password secret "
    "aws_secret_access_key aws_access_key_id private_key credentials".split(),
)
def test_are_left_out_of_the_recorded_config(key: str) -> None:
    assert json_safe({"nested": [{key: "abc"}]}) == {"nested": [{key: "***"}]}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("eos_token", "</s>"),
        ("special_tokens", {"pad_token": "<pad>"}),
        ("tokens", ["<|user|>"]),
        ("max_new_tokens", 16),
        ("hub_token", None),
        ("key", "messages"),
        ("output_key", "text"),
        ("train_on_eos_token", True),
    ],
)
def test_what_is_none_stays(key: str, value: Any) -> None:
    assert json_safe({key: value}) == {key: value}


def test_a_password_in_a_url_is_hidden() -> None:
    url = "postgresql://ada:hunter2@host/db"
    assert json_safe([url]) == ["postgresql://ada:***@host/db"]


def test_what_json_cannot_hold_becomes_text() -> None:
    value = {"path": Path("/a"), "nan": math.nan, "set": {"b", "a"}, 3: (1, 2)}
    safe = {"path": "/a", "nan": "nan", "set": ["a", "b"], "3": [1, 2]}
    assert json_safe(value) == safe
