"""The plugin on Axolotl's own hooks."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from forked import Forked

from axolotl_sftguide.runs.history import RunHistory
from axolotl_sftguide.runs.marker import MARKER, Termination, mark, read_marker

NOT_FINITE = {"learning_rate": 1e30, "max_grad_norm": 0.0, "max_steps": 40}


@pytest.mark.parametrize(
    ("asked", "spared"),
    [
        ({"adapter": "qlora", "load_in_4bit": True, "lora_target_linear": True}, 4),
        ({"adapter": "lora", "lora_target_linear": True}, 4),
        ({"adapter": "lora", "lora_target_modules": ["q_proj", "down_proj"]}, 4),
        ({"adapter": "lora", "lora_target_modules": "all-linear"}, 4),
        (
            {
                "adapter": "lora",
                "lora_target_linear": True,
                "lora_mlp_kernel": True,
            },
            3,
        ),
        # These run on a CPU, and round in their own way.
        ({"adapter": "lora", "lora_target_modules": ["q_proj", "v_proj"]}, 0),
        ({"lora_target_linear": True}, 0),
    ],
)
def test_kernels_are_left_off_where_they_would_crash_and_nowhere_else(
    asked: dict[str, Any], spared: int
) -> None:
    from axolotl.utils.dict import DictDefault

    from axolotl_sftguide import SFTGuidePlugin

    plugins = ["axolotl_sftguide.SFTGuidePlugin"]
    cfg = DictDefault({"plugins": plugins, **asked})
    SFTGuidePlugin().register(cfg)
    off = [k for k in cfg if k.endswith("_kernel") and cfg[k] is False]
    assert len(off) == spared
    assert cfg.get("lora_mlp_kernel") is not False or "lora_mlp_kernel" not in asked


def test_a_training_starts_with_the_most_serious_findings(
    train_axolotl: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    train_axolotl(
        learning_rat=1, micro_batchsize=2, num_epoch=3, grad_clip=1, max_steps=1
    )
    said = [
        line
        for line in capsys.readouterr().out.splitlines()
        if "is not an Axolotl key" in line
    ]
    assert len(said) == 3
    assert said[0].startswith("sftguide: warning: grad_clip is not an Axolotl key")
    assert "did you mean 'learning_rate'" in said[1].lower()


def test_the_banner_names_the_rules_and_the_files(
    train_axolotl: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    outcome = train_axolotl()
    (line,) = [
        line for line in capsys.readouterr().out.splitlines() if "watching run" in line
    ]
    assert outcome.run.id in line
    assert "stops on non_finite; warns on divergence, not_learning, comparison" in line
    assert "sftguide-trace-" in line
    assert RunHistory().url in line


def test_without_a_block_only_non_finite_steps_end_a_run(
    train_axolotl: Callable[..., Any],
) -> None:
    idle = train_axolotl(learning_rate=0.0, max_steps=130, logging_steps=10)
    assert idle.run.status == "finished"
    assert [(d.rule, d.action) for d in idle.run.decisions] == [
        ("not_learning", "warn")
    ]


def test_a_stopped_run_is_recorded_and_marked(
    train_axolotl: Callable[..., Any],
) -> None:
    outcome = train_axolotl(**NOT_FINITE)
    assert outcome.run.status == "terminated"
    assert outcome.run.step < 40
    marker = read_marker(outcome.output_dir)
    assert marker is not None
    assert marker.rule == "non_finite"
    assert (outcome.output_dir / "model.safetensors").exists()  # Axolotl saves it


@pytest.mark.parametrize("asked", [False, True])
def test_a_stopped_run_is_pushed_to_the_hub_only_if_set(
    train_axolotl: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    asked: bool,
) -> None:
    from huggingface_hub import HfApi

    pushed: list[Any] = []
    monkeypatch.setattr(
        HfApi, "create_repo", lambda *_, **__: SimpleNamespace(repo_id="me/mine")
    )
    monkeypatch.setattr(HfApi, "upload_folder", lambda *_, **kw: pushed.append(kw))
    train_axolotl(
        hub_model_id="me/mine", sftguide={"push_terminated": asked}, **NOT_FINITE
    )
    assert bool(pushed) is asked
    said = "not pushed to me/mine: the run was stopped" in capsys.readouterr().out
    assert said is not asked


@pytest.mark.parametrize("command", ["merge_lora", "inference"])
def test_merging_or_asking_lost_weights_is_refused_in_one_line(
    axolotl_config: Callable[..., Any], tmp_path: Path, command: str
) -> None:
    from axolotl.cli.config import load_cfg

    path = write(tmp_path, axolotl_config())
    mark(tmp_path / "out", stopped("non_finite"))
    with pytest.raises(SystemExit) as refusal:
        load_cfg(str(path), **{command: True})
    message = str(refusal.value)
    assert "\n" not in message
    assert MARKER in message
    assert "checkpoint-4" in message


def test_weights_that_did_not_learn_are_warned_of_not_refused(
    axolotl_config: Callable[..., Any],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from axolotl.cli.config import load_cfg

    path = write(tmp_path, axolotl_config())
    mark(tmp_path / "out", stopped("not_learning"))
    load_cfg(str(path), merge_lora=True)
    assert "warning" in capsys.readouterr().out


def test_a_base_model_that_was_stopped_for_nan_is_refused(
    axolotl_config: Callable[..., Any], tmp_path: Path
) -> None:
    from axolotl.cli.config import load_cfg

    mark(tmp_path / "stopped", stopped("divergence"))
    config = axolotl_config(base_model=str(tmp_path / "stopped"))
    with pytest.raises(SystemExit, match="does not contain a finished model"):
        load_cfg(str(write(tmp_path, config)))


def test_a_resume_from_after_the_run_went_bad_is_refused(
    train_axolotl: Callable[..., Any], tmp_path: Path
) -> None:
    saving = {"save_strategy": "steps", "save_steps": 4, "save_total_limit": 9}
    first = train_axolotl(max_steps=8, **saving)
    mark(first.output_dir, stopped("non_finite", bad_since=6))
    with pytest.raises(SystemExit, match=r"resume_from_checkpoint: .*checkpoint-4"):
        train_axolotl(
            max_steps=12,
            resume_from_checkpoint=str(first.output_dir / "checkpoint-8"),
            **saving,
        )
    with pytest.raises(SystemExit, match="after the run went bad"):
        train_axolotl(max_steps=12, auto_resume_from_checkpoints=True, **saving)
    resumed = train_axolotl(
        max_steps=12,
        resume_from_checkpoint=str(first.output_dir / "checkpoint-4"),
        **saving,
    )
    assert [o.step for o in resumed.trace.observations] == list(range(1, 13))
    assert read_marker(resumed.output_dir) is None  # it finished


def test_all_errors_of_the_block_are_reported_before_the_model_loads(
    axolotl_config: Callable[..., Any], tmp_path: Path
) -> None:
    from axolotl.cli.config import load_cfg

    block = {"studdy": "x", "early_termination": {"divergence": {"patience": "many"}}}
    path = write(tmp_path, axolotl_config(sftguide=block))
    with pytest.raises(SystemExit) as refusal:
        load_cfg(str(path))
    lines = str(refusal.value).splitlines()
    assert len(lines) == 2
    assert any("sftguide.studdy" in x and "Did you mean 'study'" in x for x in lines)
    assert any("sftguide.early_termination.divergence.patience" in x for x in lines)


def test_a_misspelt_block_is_refused_and_not_dropped(
    axolotl_config: Callable[..., Any], tmp_path: Path
) -> None:
    from axolotl.cli.config import load_cfg

    path = write(tmp_path, axolotl_config(sft_guide={"study": "x"}))
    with pytest.raises(SystemExit, match="did you mean 'sftguide'"):
        load_cfg(str(path))


def test_the_block_reaches_the_callbacks_through_axolotls_validation(
    train_axolotl: Callable[..., Any],
) -> None:
    block = {"study": "s", "name": "n", "early_termination": {"action": False}}
    outcome = train_axolotl(sftguide=block, learning_rate=0.0, max_steps=130)
    assert (outcome.run.study, outcome.run.name) == ("s", "n")
    assert not outcome.run.decisions
    assert outcome.run.config["learning_rate"] == 0.0
    assert outcome.run.key_fields["host"] == "axolotl"
    assert outcome.run.key_fields["sequence_len"] == 64


def test_register_is_idempotent_and_changes_nothing(
    axolotl_config: Callable[..., Any], tmp_path: Path
) -> None:
    from axolotl.utils.dict import DictDefault

    from axolotl_sftguide import SFTGuidePlugin

    cfg = DictDefault(axolotl_config(sftguide={"study": "s"}))
    before = json.dumps(cfg.to_dict(), sort_keys=True)
    plugin = SFTGuidePlugin()
    plugin.register(cfg)
    plugin.register(cfg)
    assert json.dumps(cfg.to_dict(), sort_keys=True) == before
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "runs.db").exists()


def test_a_config_that_does_not_name_the_plugin_is_left_alone(
    axolotl_config: Callable[..., Any], tmp_path: Path
) -> None:
    from axolotl.utils.dict import DictDefault

    from axolotl_sftguide import SFTGuidePlugin

    cfg = DictDefault(axolotl_config(plugins=["other.Plugin"], sftguide="nonsense"))
    plugin = SFTGuidePlugin()
    plugin.register(cfg)
    assert plugin.add_callbacks_post_trainer(cfg, trainer=None) == []


def test_preprocess_runs_with_the_plugin_and_records_no_run(
    axolotl_config: Callable[..., Any], tmp_path: Path
) -> None:
    from axolotl.cli.config import load_cfg
    from axolotl.common.datasets import load_datasets

    path = write(tmp_path, axolotl_config())
    cfg = load_cfg(str(path), is_preprocess=True)
    load_datasets(cfg=cfg)
    assert not (tmp_path / "runs.db").exists()


def test_the_score_of_base_and_tuned_model_is_recorded_and_printed(
    train_axolotl: Callable[..., Any], data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    score = {"data_path": str(data), "metric": "em", "compare_with": {"chance": 0.25}}
    outcome = train_axolotl(sftguide={"score": score})
    (found,) = outcome.run.scores
    assert (found.metric, found.goal) == ("em", "max")
    assert found.base_value == 0.0
    assert "on 256 questions (base 0, chance 0.25)" in capsys.readouterr().out


def test_a_score_that_cannot_be_had_does_not_end_the_run(
    train_axolotl: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    outcome = train_axolotl(sftguide={"score": {"data_path": "nowhere.jsonl"}})
    assert outcome.run.status == "finished"
    assert not outcome.run.scores
    assert "sftguide.score.data_path: nowhere.jsonl" in capsys.readouterr().out


def failed(forked: Forked, code: str, folder: Path) -> str:
    """What a process that has to fail has printed."""
    script, log = folder / "plugin.py", folder / "plugin.log"
    script.write_text(code)
    process = forked.begin(script, log=log)
    process.join(300)
    assert process.exitcode == 1
    return log.read_text()


def test_a_host_that_is_missing_ends_training_loudly(
    forked: Forked, tmp_path: Path
) -> None:
    """Axolotl swallows an ImportError of a plugin and trains on unguarded."""
    code = (
        "import sys; sys.modules['axolotl_sftguide.monitor.session'] = None\n"
        "from axolotl.integrations.base import PluginManager\n"
        "PluginManager.get_instance().register('axolotl_sftguide.SFTGuidePlugin')\n"
        "from axolotl_sftguide import GradientMonitorCallback\n"
    )
    printed = failed(forked, code, tmp_path)
    assert "sftguide: GradientMonitorCallback cannot be imported" in printed


def test_a_plugin_that_cannot_load_is_not_swallowed(
    forked: Forked, tmp_path: Path
) -> None:
    code = (
        "import sys\n"
        "from axolotl.integrations.base import PluginManager\n"
        "sys.modules['axolotl_sftguide.config.settings'] = None\n"
        "PluginManager.get_instance().register('axolotl_sftguide.SFTGuidePlugin')\n"
        "print('training goes on')\n"
    )
    printed = failed(forked, code, tmp_path)
    assert "training goes on" not in printed
    assert "sftguide: SFTGuidePlugin cannot be imported" in printed


def stopped(rule: str, bad_since: int = 6) -> Termination:
    return Termination(
        run_id="20260101-000000-abcd",
        rule=rule,
        reason="planted",
        step=9,
        samples_seen=36,
        bad_since=bad_since,
        last_good_checkpoint="out/checkpoint-4",
    )


def write(folder: Path, config: dict[str, Any]) -> Path:
    path = folder / "config.yml"
    path.write_text(yaml.safe_dump(config))
    return path
