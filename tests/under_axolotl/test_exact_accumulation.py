"""The same samples give the same step, however they are divided."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from forked import Forked

from axolotl_sftguide.runs.history import RunHistory
from axolotl_sftguide.runs.traces import find_traces, read_trace

STEPS = 3
EIGHT_BY_ONE = {"micro_batch_size": 8, "gradient_accumulation_steps": 1}
ONE_BY_EIGHT = {"micro_batch_size": 1, "gradient_accumulation_steps": 8}


@pytest.fixture
def signals(
    train_axolotl: Callable[..., Any], uneven_data: Path, tmp_path: Path
) -> Callable[..., list[tuple[float, float]]]:
    """Loss and norm of the first steps of a run on answers of uneven length."""

    def run(name: str, exact: bool, **overrides: Any) -> list[tuple[float, float]]:
        data = {"path": str(uneven_data), "ds_type": "json", "type": "chat_template"}
        outcome = train_axolotl(
            sftguide={"exact_accumulation": exact},
            datasets=[data],
            max_steps=STEPS,
            output_dir=str(tmp_path / name),
            **overrides,
        )
        return [(o.loss, o.grad_norm) for o in outcome.trace.observations]

    return run


# With several ranks, Axolotl puts each rank's model on a GPU of its own.
ON_A_CPU = """
import sys
import hosts

if __name__ == "__main__":
    hosts.run_axolotl(sys.argv[1], device_map={"": "cpu"})
    hosts.leave_together()
"""


def agree(one: list[tuple[float, float]], two: list[tuple[float, float]]) -> bool:
    pairs = zip(one, two, strict=True)
    return all(a == pytest.approx(b, rel=1e-5) for a, b in pairs)


def test_8x1_is_1x8_where_it_is_exact_and_is_not_in_the_stock_host(
    signals: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    whole = signals("whole", exact=False, **EIGHT_BY_ONE)
    exact = signals("exact", exact=True, **ONE_BY_EIGHT)
    stock = signals("stock", exact=False, **ONE_BY_EIGHT)
    assert agree(whole, exact)
    assert not agree(whole, stock)
    assert abs(stock[0][1] / whole[0][1] - 1) > 0.05
    keys = {r.name: r.key_fields["loss_normalisation"] for r in RunHistory().runs()}
    assert keys == {
        "whole": "token mean",
        "exact": "token mean",
        "stock": "mean of micro-batch means",
    }
    assert "exact_accumulation has no effect" not in capsys.readouterr().out


def test_8x1_is_1x8_with_lora(signals: Callable[..., Any], adapter: Path) -> None:
    lora = {"adapter": "lora", "lora_model_dir": str(adapter)}
    whole = signals("whole", exact=True, **EIGHT_BY_ONE, **lora)
    assert agree(whole, signals("exact", exact=True, **ONE_BY_EIGHT, **lora))


def test_8x1_is_1x8_with_packing(signals: Callable[..., Any]) -> None:
    packed = {"sample_packing": True, "pad_to_sequence_len": True, "sequence_len": 128}
    whole = signals("whole", True, **packed, **EIGHT_BY_ONE)
    assert agree(whole, signals("exact", True, **packed, **ONE_BY_EIGHT))


def test_two_ranks_by_four_are_one_by_eight(
    forked: Forked,
    signals: Callable[..., Any],
    axolotl_config: Callable[..., dict[str, Any]],
    uneven_data: Path,
    tmp_path: Path,
) -> None:
    one = signals("one", exact=True, **ONE_BY_EIGHT)
    data = {"path": str(uneven_data), "ds_type": "json", "type": "chat_template"}
    config = axolotl_config(
        sftguide={"exact_accumulation": True},
        datasets=[data],
        max_steps=STEPS,
        output_dir=str(tmp_path / "two"),
        micro_batch_size=1,
        gradient_accumulation_steps=4,
        ddp_backend="gloo",
    )
    path = tmp_path / "two.yml"
    path.write_text(yaml.safe_dump(config))
    script = tmp_path / "train.py"
    script.write_text(ON_A_CPU)
    forked.run_ranks(script, path, ACCELERATE_USE_CPU="1")
    (trace,) = map(read_trace, find_traces(tmp_path / "two"))
    assert trace.run["key_fields"]["ranks"] == 2
    assert agree(one, [(o.loss, o.grad_norm) for o in trace.observations])


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        ({"use_eaft": True}, "a custom loss function"),
        ({"label_smoothing_factor": 0.1}, None),
    ],
)
def test_a_loss_that_cannot_be_exact_gets_a_warning(
    signals: Callable[..., Any],
    capsys: pytest.CaptureFixture[str],
    overrides: dict[str, Any],
    says: str | None,
) -> None:
    signals("run", exact=True, **ONE_BY_EIGHT, **overrides)
    told = capsys.readouterr().out
    assert ("exact_accumulation has no effect" in told) is (says is not None)
    assert says is None or says in told
