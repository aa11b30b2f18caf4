"""What every test stands on: no network, no telemetry, a history of its own."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import yaml
from hosts import Outcome, make_sft_trainer, run_axolotl
from postgres import Server, programs
from tiny import make_adapter, make_base, rows, uneven_rows, write_rows

PROJECT = Path(__file__).parent.parent
OUR_PLUGIN = "axolotl_sftguide.SFTGuidePlugin"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Axolotl patches transformers for the whole process: its tests come last."""
    items.sort(key=lambda item: "under_axolotl" in item.path.parts)


@pytest.fixture(autouse=True)
def quiet_and_isolated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AXOLOTL_DO_NOT_TRACK", "1")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "false")
    monkeypatch.setenv("SFTGUIDE_STORAGE", str(tmp_path / "runs.db"))


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    if programs() is None:
        pytest.skip("PostgreSQL is not installed here")
    # Not in pytest's own folder, which each session closes to other users.
    with TemporaryDirectory(prefix="sftguide-postgres-") as folder:
        server = Server(Path(folder))
        yield server
        server.stop()


@pytest.fixture(params=["sqlite", "postgresql"])
def new_storage(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], str]:
    """Makes an empty run history of each kind."""
    if request.param == "postgresql":
        return request.getfixturevalue("postgres").new_database  # type: ignore[no-any-return]
    names = (f"h{i}.db" for i in count(1))
    return lambda: str(tmp_path / next(names))


@pytest.fixture
def storage(new_storage: Callable[[], str]) -> str:
    return new_storage()


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_base(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="session")
def adapter(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_adapter(base, tmp_path_factory.mktemp("adapter"))


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_rows(tmp_path_factory.mktemp("data") / "rows.jsonl", rows())


@pytest.fixture(scope="session")
def uneven_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_rows(tmp_path_factory.mktemp("data") / "uneven.jsonl", uneven_rows())


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("prepared")


@pytest.fixture
def axolotl_config(
    base: Path, data: Path, prepared: Path, tmp_path: Path
) -> Callable[..., dict[str, Any]]:
    """A small configuration; keyword arguments override its keys, None drops one."""

    def make(**overrides: Any) -> dict[str, Any]:
        config = {
            "base_model": str(base),
            "plugins": [OUR_PLUGIN],
            "datasets": [
                {"path": str(data), "ds_type": "json", "type": "chat_template"}
            ],
            "dataset_prepared_path": str(prepared),
            "output_dir": str(tmp_path / "out"),
            "sequence_len": 64,
            "micro_batch_size": 2,
            "gradient_accumulation_steps": 2,
            "max_steps": 12,
            "learning_rate": 0.003,
            "optimizer": "adamw_torch",
            "lr_scheduler": "constant",
            "warmup_steps": 0,
            "bf16": False,
            "fp16": False,
            "tf32": False,
            "attn_implementation": "sdpa",
            "seed": 42,
            "save_strategy": "no",
            "logging_steps": 1,
            "val_set_size": 0,
            # They patch the attention classes for the whole process.
            "lora_qkv_kernel": False,
            "lora_o_kernel": False,
            "lora_mlp_kernel": False,
            "lora_embedding_kernel": False,
            **overrides,
        }
        return {k: v for k, v in config.items() if v is not None}

    return make


@pytest.fixture
def train_axolotl(
    axolotl_config: Callable[..., dict[str, Any]], tmp_path: Path
) -> Callable[..., Outcome]:
    """Runs Axolotl as its `train` command does, in this process."""

    def train(*, witness: bool = False, **overrides: Any) -> Outcome:
        config = axolotl_config(**overrides)
        if witness:
            plugins = [*config.get("plugins", []), "witness_plugin.WitnessPlugin"]
            config["plugins"] = plugins
        path = tmp_path / "config.yml"
        path.write_text(yaml.safe_dump(config))
        return run_axolotl(path)

    return train


@pytest.fixture
def train_trl(base: Path, data: Path, tmp_path: Path) -> Callable[..., Outcome]:
    """Runs TRL's SFTTrainer; `lora` is the folder of a saved adapter."""

    assert "axolotl" not in sys.modules, "Axolotl's patches would be tested, not TRL"

    def train(
        *callbacks: Any,
        lora: Path | None = None,
        witness: bool = False,
        train_kwargs: dict[str, Any] | None = None,
        data: Path = data,
        **overrides: Any,
    ) -> Outcome:
        trainer, seen = make_sft_trainer(
            base, data, tmp_path, *callbacks, lora=lora, witness=witness, **overrides
        )
        trainer.train(**(train_kwargs or {}))
        return Outcome(Path(trainer.args.output_dir), trainer, seen)

    return train
