"""Half-written and hostile configs: the block, YAML, models, mix specs and spaces."""

from __future__ import annotations

import math
from pathlib import Path
from random import Random
from typing import Any

import mutate
import yaml
from campaign import Campaign, Wrong
from command import PROJECT, recipes, sftguide
from material import MODEL, TOKENIZER, json_text, mix_spec
from texts import BOMBS, CONFIGS, LINES

TRIES = 10_000


# The `sftguide:` block


def _block(_: Path) -> dict[str, Any]:
    from axolotl_sftguide.config.settings import Settings

    whole = Settings.model_validate(
        {
            "study": "s",
            "storage": "runs.db",
            "effective_batch_size": 32,
            "score": {"data_path": "q.jsonl", "compare_with": {"chance": 0.25}},
            "early_termination": {
                "evaluation": {"metric": "acc", "goal": "max"},
                "prediction": {"parking": {"chance": 0.5, "disk": "20GiB"}},
            },
            "mix": mix_spec(),
        }
    ).model_dump()
    early = whole["early_termination"]
    early["prediction"]["parking"]["disk"] = "20GiB"
    return whole


def _read_block(block: dict[str, Any], rng: Random) -> None:
    from axolotl_sftguide.config.settings import load_settings
    from axolotl_sftguide.stopping.baselines import Baselines
    from axolotl_sftguide.stopping.judge import rules_of

    changed = mutate.tree(block, rng)
    settings = load_settings(changed)
    rules_of(settings.early_termination, Baselines())
    _require_finite(settings.model_dump(), "settings")


def _require_finite(value: Any, path: str) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise Wrong(f"{path} is accepted as {value}")
    if isinstance(value, dict):
        for key, inner in value.items():
            # `where` compares with what rows have, which may be NaN.
            if key != "where":
                _require_finite(inner, f"{path}.{key}"[:80])
    elif isinstance(value, (list, tuple)):
        for inner in value:
            _require_finite(inner, path)


# YAML: tags, bombs, encodings


def _configs(_: Path) -> list[str]:
    found = recipes()
    for name in ("sft", "dpo", "pretraining"):
        found.append(CONFIGS[name])
    return found


def _config_text(texts: list[str], rng: Random) -> bytes:
    text = rng.choice(texts)
    kind = rng.randrange(10)
    if kind < 4:
        changed = mutate.tree(yaml.safe_load(text), rng)
        if not isinstance(changed, dict):
            changed = {"base_model": changed}
        try:
            dumped = yaml.safe_dump(changed, sort_keys=False, allow_unicode=True)
        except (yaml.YAMLError, RecursionError):
            dumped = f"{text}\nx: 1\n"
        return dumped.encode("utf-8", "surrogatepass")
    if kind < 6:
        lines = text.splitlines()
        for _ in range(rng.choice([1, 1, 2])):
            lines.insert(rng.randrange(len(lines) + 1), rng.choice(LINES))
        return "\n".join(lines).encode()
    if kind == 6 and rng.random() < 0.1:
        return (rng.choice(["", text]) + rng.choice(list(BOMBS.values()))).encode()
    if kind == 7 and rng.random() < 0.2:
        return mutate.in_another_encoding(text, rng)
    return mutate.data(text.encode(), rng)


def _check_config(texts: list[str], rng: Random) -> None:
    Path("config.yml").write_bytes(_config_text(texts, rng))
    form = rng.choice(
        [[], [], ["--format", "json"], ["--format", "github"], ["-v", "--all"]]
    )
    sftguide("check", "config.yml", *form)
    _require_not_run()


def _require_not_run() -> None:
    if Path("pwned").exists():
        raise Wrong("a tag of the YAML file was executed")


def _plan_config(texts: list[str], rng: Random) -> None:
    Path("config.yml").write_bytes(_config_text(texts, rng))
    form = rng.choice(
        [[], [], ["--json"], ["-v"], ["--rows", "1000"], ["--write", "w.yml"]]
    )
    sftguide("plan", "config.yml", *form)


def _fix_config(texts: list[str], rng: Random) -> None:
    """`check --fix`: what it writes is the same config with other values."""
    from axolotl_sftguide.config.yaml_file import read_config

    path = Path("config.yml")
    path.write_bytes(_config_text(texts, rng))
    before = read_config(path)
    sftguide("check", path, "--fix")
    after = read_config(path)
    kept = [k for k in before if k in after]
    if len(kept) < len(before) - 12:
        raise Wrong("check --fix lost most of the config")


# Models' config.json


def _model_folder(folder: Path) -> Path:
    model = folder / "model"
    model.mkdir()
    text = CONFIGS["sft"].replace("NousResearch/Llama-3.2-1B", "model")
    text = text.replace("deepspeed_configs/zero2.json", "model/zero.json")
    (folder / "config.yml").write_text(text)
    return model


def _model_config(model: Path, rng: Random) -> None:
    zero = {"zero_optimization": {"stage": 3, "offload_param": {"device": "cpu"}}}
    contents = {
        "config.json": MODEL,
        "tokenizer_config.json": TOKENIZER,
        "zero.json": zero,
    }
    for name, content in contents.items():
        (model / name).write_bytes(json_text(content, rng))
    sftguide(rng.choice(["check", "plan"]), "config.yml")


# Mix specs and sweep spaces


def _read_spec(spec: dict[str, Any], rng: Random) -> None:
    from axolotl_sftguide.mixing import read_mix

    Path("spec.yml").write_bytes(_spec_text(spec, rng))
    settings = read_mix("spec.yml")
    _require_finite(settings.model_dump(), "mix")
    settings.model_dump_json()


def _spec_text(spec: Any, rng: Random) -> bytes:
    text = yaml.safe_dump(spec, sort_keys=False)
    return _config_text([text], rng)


def _spaces(_: Path) -> list[str]:
    folder = PROJECT / "recipes" / "sweeps"
    found = [path.read_text() for path in sorted(folder.glob("*.yml"))]
    return [*found, "_:\n  - {a: 1, b.c: 2}\n  - {a: 2, b.c: 3}\nlr: [1e-4, 2e-4]\n"]


def _read_space(texts: list[str], rng: Random) -> None:
    from axolotl_sftguide.sweep import Choice, read_space

    Path("space.yml").write_bytes(_config_text(texts, rng))
    space = read_space("space.yml")
    first = {
        name: p.values[0] if isinstance(p, Choice) else p.low
        for name, p in space.parameters.items()
    }
    space.apply({"base_model": "x", "sftguide": {"study": "s"}}, first)
    assert space.keys is not None
    for parameter in space.parameters.values():
        if isinstance(parameter, Choice):
            assert [parameter.value_of(label) for label in parameter.labels]
        elif not all(map(math.isfinite, (parameter.low, parameter.high))):
            raise Wrong("a range accepts a bound that is not finite")
    space.combinations()


def _campaign(what: str, prepare: Any, attempt: Any, tries: int = TRIES) -> Campaign:
    return Campaign("configs", what, tries, prepare, attempt)


CAMPAIGNS = (
    _campaign("settings", _block, _read_block),
    _campaign("configs, checked", _configs, _check_config),
    _campaign("configs, planned", _configs, _plan_config),
    _campaign("configs, fixed", _configs, _fix_config, 1500),
    _campaign("models' config.json", _model_folder, _model_config),
    _campaign("mix specs", lambda _: mix_spec(), _read_spec),
    _campaign("sweep spaces", _spaces, _read_space),
)
