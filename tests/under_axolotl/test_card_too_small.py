"""The plugin's warning for a training that does not fit on the GPU."""

from __future__ import annotations

from typing import Any

import pytest
from qlora import QLORA


def too_large(config: dict[str, Any], gpu_bytes: int) -> str | None:
    from axolotl_sftguide.hosts.axolotl import _memory  # it loads Axolotl

    return _memory.too_large(config, gpu_bytes)


class TestWarning:
    """The warning before a model is loaded."""

    MISTRAL = "mistralai/Mistral-7B-v0.1"

    def test_what_fits_is_not_spoken_of(self) -> None:
        assert too_large({"base_model": self.MISTRAL, **QLORA}, 24 * 2**30) is None

    def test_a_smaller_micro_batch_is_named_where_one_fits(self) -> None:
        asked = {"base_model": self.MISTRAL, **QLORA, "micro_batch_size": 64}
        told = too_large(asked, 24 * 2**30)
        assert told is not None
        assert "the GPU has 24.0 GiB; micro_batch_size: " in told

    def test_full_fine_tuning_on_one_gpu_gets_advice_on_adapters(self) -> None:
        told = too_large({"base_model": self.MISTRAL, "bf16": True}, 24 * 2**30)
        assert told is not None
        way_out = "a recipe that fits: sftguide recipes copy 7b-stacked-qlora"
        assert way_out in told

    def test_for_another_model_the_largest_that_fits_is_named(self) -> None:
        full = {"base_model": "meta-llama/Llama-3.1-8B", "bf16": True}
        told = too_large(full, 24 * 2**30)
        assert told is not None
        assert "8b-granite-stacked-qlora" in told

    def test_where_no_recipe_fits_the_length_is_named(self) -> None:
        told = too_large({"base_model": self.MISTRAL, "bf16": True}, 2**30)
        assert told is not None
        assert told.endswith("; lower sequence_len")

    @pytest.mark.parametrize("name", ["nobody/knows", None])
    def test_an_unknown_model_gets_no_warning(self, name: Any) -> None:
        assert too_large({"base_model": name}, 1) is None
