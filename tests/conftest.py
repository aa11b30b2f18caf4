"""Common to all tests: no network, no telemetry, a run history for each test."""

from __future__ import annotations

import os
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import yaml
from forked import Forked
from hosts import Outcome, make_sft_trainer, run_axolotl, spare_the_collector
from postgres import Server, programs
from tiny import make_adapter, make_base, rows, uneven_rows, write_rows

PROJECT = Path(__file__).parent.parent
SHARES_A_FIXTURE = {
    "test_packaging",
    "test_documented_commands",
    "test_transformers_versions",
}
"""Modules whose fixtures cost more than their tests: one worker runs each of them."""
LONGEST = {
    "test_mixing_pythons",
    "test_noise_scale_of_the_quickstart",
    "test_packaging",
    "test_parked_sweep",
    "test_quickstart",
    "test_recipes",
    "test_recipes_made_small",
    "test_sweep",
}
OUR_PLUGIN = "axolotl_sftguide.SFTGuidePlugin"


# Tiny models train no faster on more threads, and the workers share the cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.update(
    AXOLOTL_DO_NOT_TRACK="1", HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false"
)

if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    # A shell starts what runs in its background so, and our child processes inherit it.
    signal.signal(signal.SIGINT, signal.default_int_handler)

LOADED = pytest.StashKey[int]()
LEFT_OUT = pytest.StashKey[Counter[str]]()
RUN_BY = {
    "slow": "make test-all",
    "long": "make test-long",
    "versions": "make test-import",
}
"""What runs the tests of each marker that `make test` leaves out."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Axolotl's tests run last in each process, because it patches transformers.

    Of each kind, the longest are first, so that no worker waits for another at the end.
    """
    items.sort(
        key=lambda item: (
            "under_axolotl" in item.path.parts,
            item.path.stem not in LONGEST,
        )
    )
    for item in items:
        fixtures = getattr(item, "fixturenames", ())
        if "counted_apart" in fixtures:
            item.add_marker(pytest.mark.xdist_group("counted apart"))
        elif "forked" in fixtures:
            group = "axolotl" if "under_axolotl" in item.path.parts else "others"
            item.add_marker(pytest.mark.xdist_group(f"forked {group}"))
        elif item.path.stem in SHARES_A_FIXTURE:
            item.add_marker(pytest.mark.xdist_group(str(item.path)))


def pytest_collection_finish() -> None:
    if "axolotl" in sys.modules:
        raise pytest.UsageError(
            "a test module imports Axolotl, which patches transformers, at its top: "
            "import it in the test or fixture that uses it"
        )


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Exempt modules from garbage collection that were loaded since."""
    loaded = len(sys.modules)
    if loaded > item.config.stash.get(LOADED, 0) + 100:
        item.config.stash[LOADED] = loaded
        spare_the_collector()


def pytest_runtest_teardown(item: pytest.Item) -> None:
    if "axolotl" in sys.modules and "under_axolotl" not in item.path.parts:
        raise pytest.UsageError(
            "this test imports Axolotl, which patches transformers for all tests after "
            "it: move it to tests/under_axolotl"
        )


def pytest_deselected(items: list[pytest.Item]) -> None:
    left_out = items[0].config.stash.setdefault(LEFT_OUT, Counter())
    for item in items:
        marker = next((name for name in RUN_BY if name in item.keywords), None)
        if marker is not None:
            left_out[marker] += 1


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker of pytest-xdist reports what it has left out."""
    if hasattr(session.config, "workeroutput"):
        found = session.config.stash.get(LEFT_OUT, Counter())
        session.config.workeroutput["left_out"] = dict(found)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """All workers collect and leave out the same tests."""
    found = getattr(node, "workeroutput", {}).get("left_out", {})
    node.config.stash[LEFT_OUT] = Counter(found)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    for marker, tests in config.stash.get(LEFT_OUT, Counter()).items():
        terminalreporter.write_line(
            f"left out: {tests} tests marked {marker}; `{RUN_BY[marker]}` runs them"
        )


@pytest.fixture(autouse=True)
def isolated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SFTGUIDE_STORAGE", str(tmp_path / "runs.db"))
    # pytest-xdist gives its workers the width of the terminal.
    monkeypatch.delenv("COLUMNS", raising=False)


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
def forked() -> Forked:
    return Forked()


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
            "dataset_num_proc": 1,
            # A worker takes longer to start than these trainings take. Before CPython
            # 3.12 it can also wait for ever for a lock that a thread held at the fork.
            "dataloader_num_workers": 0,
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


@pytest.fixture
def sweeper(
    axolotl_config: Callable[..., dict[str, Any]], tmp_path: Path
) -> Iterator[Callable[..., Any]]:
    """Makes a recipe, and what calls `sftguide sweep` with it."""
    from sweeper import Sweeper

    made = []

    def make(**overrides: Any) -> Sweeper:
        recipe = tmp_path / "recipe.yml"
        recipe.write_text(yaml.safe_dump(axolotl_config(**overrides)))
        made.append(Sweeper(tmp_path, recipe))
        return made[-1]

    yield make
    for one in made:
        one.clean_up()
