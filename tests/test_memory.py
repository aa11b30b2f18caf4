"""Planned memory: exact where possible, else compared with counted tensors."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from click.testing import CliRunner
from counted_step import counted
from forked import Forked
from qlora import QLORA
from runs import run_row

from axolotl_sftguide import plan_memory
from axolotl_sftguide.cli import main
from axolotl_sftguide.config.axolotl_keys import LORA_KERNELS
from axolotl_sftguide.config.yaml_file import with_values
from axolotl_sftguide.errors import PlanError
from axolotl_sftguide.planning import (
    KNOWN,
    Linear,
    locate_model,
    plan_batch,
    read_architecture,
    read_setting,
)
from axolotl_sftguide.planning._activations import passing_parts
from axolotl_sftguide.planning._optimizer import optimizer_bytes
from axolotl_sftguide.planning._plan import _IN_A_LAYER, _KEPT
from axolotl_sftguide.planning._states import adapter_shapes, quantised_bytes
from axolotl_sftguide.recipes import Recipe, shipped_recipes
from axolotl_sftguide.runs.history import RunHistory


def on_meta(config: dict[str, Any]) -> Any:
    """The model on the meta device."""
    from transformers import AutoConfig, AutoModelForCausalLM

    made = AutoConfig.for_model(**config)
    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(made)


def numbers(parameters: Any) -> int:
    return sum(p.numel() for p in parameters)


ONE_EACH = list({model["model_type"]: n for n, model in KNOWN.items()}.values())
"""One known model of each type."""

PUBLISHED = {
    "meta-llama/Llama-3.1-8B": 8_030_261_248,
    "meta-llama/Llama-3.1-70B": 70_553_706_496,
    "meta-llama/Llama-3.2-1B": 1_235_814_400,
    "meta-llama/Llama-3.2-3B": 3_212_749_824,
    "meta-llama/Llama-2-7b-hf": 6_738_415_616,
    "meta-llama/Llama-2-13b-hf": 13_015_864_320,
    "meta-llama/Llama-2-70b-hf": 68_976_648_192,
    "TinyLlama/TinyLlama_v1.1": 1_100_048_384,
    "HuggingFaceTB/SmolLM2-135M": 134_515_008,
    "HuggingFaceTB/SmolLM2-360M": 361_821_120,
    "HuggingFaceTB/SmolLM2-1.7B": 1_711_376_384,
    "HuggingFaceTB/SmolLM3-3B-Base": 3_075_098_624,
    "01-ai/Yi-34B": 34_388_917_248,
    "mistralai/Mistral-7B-v0.1": 7_241_732_096,
    "mistralai/Mistral-7B-v0.3": 7_248_023_552,
    "mistralai/Mistral-Nemo-Base-2407": 12_247_782_400,
    "mistralai/Mistral-Small-24B-Base-2501": 23_572_403_200,
    "Qwen/Qwen2.5-0.5B": 494_032_768,
    "Qwen/Qwen2.5-1.5B": 1_543_714_304,
    "Qwen/Qwen2.5-3B": 3_085_938_688,
    "Qwen/Qwen2.5-7B": 7_615_616_512,
    "Qwen/Qwen2.5-14B": 14_770_033_664,
    "Qwen/Qwen2.5-32B": 32_763_876_352,
    "Qwen/Qwen2.5-72B": 72_706_203_648,
    "Qwen/Qwen3-0.6B-Base": 596_049_920,
    "Qwen/Qwen3-4B-Base": 4_022_468_096,
    "Qwen/Qwen3-8B-Base": 8_190_735_360,
    "Qwen/Qwen3-14B-Base": 14_768_307_200,
    "Qwen/Qwen3-32B": 32_762_123_264,
    "Qwen/Qwen3-4B-Instruct-2507": 4_022_468_096,
    "deepseek-ai/DeepSeek-R1-Distill-Qwen-32B": 32_763_876_352,
    "codellama/CodeLlama-13b-hf": 13_016_028_160,
    "google/gemma-2b": 2_506_172_416,
    "google/gemma-7b": 8_537_680_896,
    "google/gemma-2-2b": 2_614_341_888,
    "google/gemma-2-9b": 9_241_705_984,
    "google/gemma-2-27b": 27_227_128_320,
    "google/gemma-3-1b-pt": 999_885_952,
    "microsoft/Phi-3-mini-4k-instruct": 3_821_079_552,
    "microsoft/phi-4": 14_659_507_200,
    "microsoft/Phi-4-mini-instruct": 3_836_021_760,
}
"""Parameters, as the Hub shows them on each model's page."""


class TestShapes:
    @pytest.mark.parametrize("name", PUBLISHED)
    def test_parameters_are_those_that_are_published(self, name: str) -> None:
        assert read_architecture(KNOWN[name]).parameters == PUBLISHED[name]

    @pytest.mark.parametrize(
        ("name", "alike"),
        [
            ("Qwen/Qwen2.5-7B-Instruct", "Qwen/Qwen2.5-7B"),
            ("unsloth/Meta-Llama-3.1-8B-bnb-4bit", "meta-llama/Llama-3.1-8B"),
            ("NousResearch/Llama-2-7b-chat-hf", "meta-llama/Llama-2-7b-hf"),
            ("mistralai/Mistral-7B-Instruct-v0.3", "mistralai/Mistral-7B-v0.3"),
            ("unsloth/Qwen3-8B-unsloth-bnb-4bit", "Qwen/Qwen3-8B-Base"),
            ("google/gemma-2-9b-it", "google/gemma-2-9b"),
            ("TheBloke/Mistral-7B-v0.1-GPTQ", "mistralai/Mistral-7B-v0.1"),
            ("Qwen/Qwen3-4B-Thinking-2507", "Qwen/Qwen3-4B-Instruct-2507"),
        ],
    )
    def test_a_variant_has_the_shapes_of_its_base(self, name: str, alike: str) -> None:
        found = locate_model(name)
        assert found is not None
        assert found == (KNOWN[alike], alike)

    @pytest.mark.parametrize(
        "name",
        ["", "Qwen/Qwen2.5-7B-Instruct-1M", "mine/llama", "meta-llama/Llama-9-8B"],
    )
    def test_no_other_model_is_taken_for_a_known_one(self, name: str) -> None:
        assert locate_model(name) is None

    @pytest.mark.parametrize("name", ONE_EACH)
    def test_parameters_are_those_of_the_model_itself(self, name: str) -> None:
        model = on_meta(KNOWN[name])
        architecture = read_architecture(KNOWN[name], name)
        assert architecture.parameters == numbers(model.parameters())
        assert architecture.layers == model.config.num_hidden_layers

    @pytest.mark.parametrize("name", ONE_EACH)
    def test_linear_layers_are_those_of_the_model_itself(self, name: str) -> None:
        architecture = read_architecture(KNOWN[name], name)
        layer = on_meta(KNOWN[name]).model.layers[0]
        found = {
            (n.rpartition(".")[2], m.in_features, m.out_features, m.bias is not None)
            for n, m in layer.named_modules()
            if isinstance(m, torch.nn.Linear)
        }
        planned = {(x.name, x.inputs, x.outputs, x.bias) for x in architecture.linears}
        assert planned == found

    @pytest.mark.parametrize("name", ONE_EACH)
    @pytest.mark.parametrize("targets", ["all-linear", ["q_proj", "v_proj"]])
    def test_adapters_are_those_that_peft_makes(self, name: str, targets: Any) -> None:
        from peft import LoraConfig, get_peft_model

        config = {**KNOWN[name], "num_hidden_layers": 2}
        architecture = read_architecture(config, name)
        asked = {"adapter": "lora", "lora_r": 8, "lora_target_modules": targets}
        if isinstance(targets, list) and architecture.model_type == "phi3":
            with pytest.raises(PlanError, match="no layer of this model"):
                read_setting(asked, architecture)  # its projections are fused
            return
        planned = sum(adapter_shapes(architecture, read_setting(asked, architecture)))
        model = get_peft_model(on_meta(config), LoraConfig(r=8, target_modules=targets))
        assert planned == numbers(p for p in model.parameters() if p.requires_grad)

    @pytest.mark.parametrize(
        ("config", "why"),
        [
            ({"model_type": "mixtral", "num_local_experts": 8}, "mixture of experts"),
            ({"model_type": "qwen3_moe", "num_experts": 128}, "mixture of experts"),
            (
                {"model_type": "qwen3_next", "layer_types": ["linear_attention"]},
                r"qwen3_next is hybrid \(linear_attention\)",
            ),
            (
                {"model_type": "granitemoehybrid", "layer_types": ["mamba"]},
                "granitemoehybrid is hybrid",
            ),
            ({"model_type": "falcon_h1", "mamba_d_state": 1}, "falcon_h1 is hybrid"),
            ({"model_type": "gemma3", "vision_config": {}}, "gemma3 is multimodal"),
            ({"model_type": "lama"}, "did you mean 'llama'"),
            ({}, "model_type 'none' is not supported"),
            ({"model_type": "llama"}, "lacks a number that the plan needs"),
            ({"model_type": "llama", "hidden_size": "x"}, "lacks a number"),
        ],
    )
    def test_unsupported_architectures_are_refused_by_name(
        self, config: dict[str, Any], why: str
    ) -> None:
        with pytest.raises(PlanError, match=why):
            read_architecture(config, "it")


class TestStates:
    @pytest.mark.parametrize(
        ("inputs", "outputs"), [(128, 320), (4096, 1024), (64, 100), (4096, 4096)]
    )
    def test_quantised_bytes_are_those_of_bitsandbytes(
        self, inputs: int, outputs: int
    ) -> None:
        functional = pytest.importorskip("bitsandbytes.functional")
        weight = torch.randn(outputs, inputs, dtype=torch.bfloat16)
        packed, state = functional.quantize_4bit(
            weight, blocksize=64, compress_statistics=True, quant_type="nf4"
        )
        nested = state.state2
        held = [packed, state.absmax, state.code, state.offset]
        held += [nested.absmax, nested.code]
        size = sum(t.numel() * t.element_size() for t in held)
        assert quantised_bytes(Linear("x", inputs, outputs)) == size

    @pytest.mark.parametrize(("inputs", "outputs"), [(128, 320), (4096, 1024)])
    def test_bytes_in_8_bits_are_those_of_bitsandbytes(
        self, inputs: int, outputs: int
    ) -> None:
        functional = pytest.importorskip("bitsandbytes.functional")
        weight = torch.randn(outputs, inputs, dtype=torch.float16)
        rows, scales, _ = functional.int8_vectorwise_quant(weight)
        size = rows.numel() * rows.element_size() + scales.numel() * 4
        assert quantised_bytes(Linear("x", inputs, outputs), 8) == size

    @pytest.mark.parametrize("name", ["AdamW8bit", "PagedAdamW8bit", "AdamW32bit"])
    def test_optimizer_bytes_are_those_of_bitsandbytes(self, name: str) -> None:
        optim = pytest.importorskip("bitsandbytes.optim")
        sizes = [64 * 4096, 100 * 50, 4095, 4096, 10]
        weights = [torch.nn.Parameter(torch.randn(size)) for size in sizes]
        made = getattr(optim, name)(weights)
        for weight in weights:
            weight.grad = torch.randn_like(weight)
        made.step()
        held = sum(
            tensor.numel() * tensor.element_size()
            for weight in weights
            for key, tensor in made.state[weight].items()
            if isinstance(tensor, torch.Tensor) and not key.startswith("qmap")
        )
        written = name.lower().replace("adamw", "adamw_")
        assert optimizer_bytes(sizes, written, 4) == held

    @pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
    def test_torchs_own_optimizer_holds_two_states(self, dtype: torch.dtype) -> None:
        weight = torch.nn.Parameter(torch.randn(1000, dtype=dtype))
        made = torch.optim.AdamW([weight])
        weight.grad = torch.randn_like(weight)
        made.step()
        held = sum(made.state[weight][key].nbytes for key in ("exp_avg", "exp_avg_sq"))
        assert (
            optimizer_bytes([1000], "adamw_torch_fused", weight.element_size()) == held
        )


def passing(config: dict[str, Any], asked: dict[str, Any]) -> int:
    """Planned bytes of a step beside weights and gradients."""
    architecture = read_architecture(config)
    parts = passing_parts(architecture, read_setting(asked, architecture))
    size = {part.name: part.size_bytes for part in parts}
    kept = sum(size.get(name, 0) for name in _KEPT)
    return kept + max(sum(size.get(name, 0) for name in _IN_A_LAYER), size["logits"])


class TestPassing:
    """Peaks of tensors that were counted, on models of several shapes."""

    @pytest.mark.parametrize("half", [False, True], ids=["float32", "bfloat16"])
    @pytest.mark.parametrize("adapter", [False, True], ids=["full", "lora"])
    @pytest.mark.parametrize(
        "checkpointing", [False, True], ids=["kept", "checkpointing"]
    )
    @pytest.mark.parametrize(
        "shape",
        [
            {"vocab_size": 8000},
            {"vocab_size": 200},
            {"vocab_size": 2000, "num_key_value_heads": 4, "num_hidden_layers": 4},
        ],
        ids=["logits", "layers", "plain attention"],
    )
    def test_the_peak_is_within_five_percent(
        self, shape: dict[str, int], checkpointing: bool, adapter: bool, half: bool
    ) -> None:
        config = {
            "model_type": "llama",
            "hidden_size": 256,
            "intermediate_size": 704,
            "num_hidden_layers": 6,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            **shape,
        }
        asked = {
            "adapter": "lora" if adapter else None,
            "lora_r": 16,
            "lora_target_linear": True,
            "lora_mlp_kernel": False,
            "bf16": half,
            "gradient_checkpointing": checkpointing,
            "sequence_len": 256,
        }
        planned = passing(config, asked)
        assert planned == pytest.approx(counted(config, asked), rel=0.05)


KINDS = (
    "llama mistral granite smollm3 qwen2 qwen3 gemma gemma2 gemma3_text olmo2 phi3 "
    "starcoder2"
).split()


# Autocast takes Starcoder's LayerNorm in 16 bits on a CPU, and in 32 on a GPU.
OF_KINDS = [
    *((kind, False, 500) for kind in KINDS),
    *((kind, True, 500) for kind in KINDS[:-1]),
    ("gemma2", True, 12000),
]


@pytest.mark.parametrize(("kind", "adapter", "words"), OF_KINDS)
def test_the_peak_of_each_kind_is_within_five_percent(
    kind: str, adapter: bool, words: int
) -> None:
    config = {
        "model_type": kind,
        "hidden_size": 256,
        "intermediate_size": 768,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 64,
        "vocab_size": words,
        "pad_token_id": 0,
    }
    asked = asked_for(adapter=adapter, kernels=False, gradient_checkpointing=True)
    asked["sequence_len"] = 256
    planned = passing(config, asked)
    assert planned == pytest.approx(counted(config, asked), rel=0.05)


MADE_SMALL = {
    "model_type": "llama",
    "hidden_size": 256,
    "intermediate_size": 768,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 2000,
}
LIGER: dict[str, Any] = {
    "plugins": ["axolotl.integrations.liger.LigerPlugin"],
    "liger_rope": True,
    "liger_rms_norm": True,
    "liger_glu_activation": True,
    "liger_fused_linear_cross_entropy": True,
}


def asked_for(*, adapter: bool, kernels: bool, **more: Any) -> dict[str, Any]:
    return {
        "adapter": "lora" if adapter else None,
        "lora_r": 8,
        "lora_target_linear": True,
        **dict.fromkeys(LORA_KERNELS, kernels),
        "bf16": True,
        "sequence_len": 64,
        **more,
    }


COUNTED_STEP = Path(__file__).parent / "support" / "counted_step.py"


@pytest.fixture(scope="module")
def counted_apart(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[[list[dict[str, Any]]], list[int]]]:
    """In a fork of another process: kernels are interpreted, and replace classes."""
    errors = tmp_path_factory.mktemp("counted") / "errors"
    with (
        errors.open("w") as stderr,
        subprocess.Popen(
            [sys.executable, str(COUNTED_STEP)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        ) as process,
    ):

        def count(cases: list[dict[str, Any]]) -> list[int]:
            print(json.dumps(cases), file=process.stdin, flush=True)
            answer = "a line that is no answer"
            while answer and not answer.startswith(("[", "null")):
                answer = process.stdout.readline()  # type: ignore[union-attr]
            assert answer.startswith("["), errors.read_text()[-2000:]
            return list(json.loads(answer))

        yield count


class TestKernels:
    """Axolotl's and Liger's, which Triton interprets on a CPU."""

    @pytest.mark.slow
    def test_a_recipe_for_an_adapter_is_within_five_percent(
        self, counted_apart: Callable[..., list[int]]
    ) -> None:
        asked = asked_for(
            adapter=True, kernels=True, gradient_checkpointing=True, **LIGER
        )
        (found,) = counted_apart([{"model": MADE_SMALL, "asked": asked}])
        assert passing(MADE_SMALL, asked) == pytest.approx(found, rel=0.05)

    @pytest.mark.slow
    @pytest.mark.parametrize("liger", [{}, LIGER], ids=["transformers", "liger"])
    @pytest.mark.parametrize(
        ("adapter", "kernels"),
        [(True, True), (True, False), (False, False)],
        ids=["lora kernels", "lora", "full"],
    )
    def test_each_combination_is_within_five_percent(
        self,
        liger: dict[str, bool],
        adapter: bool,
        kernels: bool,
        counted_apart: Callable[..., list[int]],
    ) -> None:
        asked = asked_for(adapter=adapter, kernels=kernels, **liger)
        cases = [
            {
                "model": {**MADE_SMALL, "vocab_size": words},
                "asked": {**asked, "gradient_checkpointing": checkpointing},
            }
            for words in (2000, 16000)
            for checkpointing in (True, False)
        ]
        planned = [passing(case["model"], case["asked"]) for case in cases]
        assert planned == pytest.approx(counted_apart(cases), rel=0.05)

    @pytest.mark.slow
    @pytest.mark.parametrize("half", [True, False])
    def test_the_chunked_loss_is_within_five_percent(
        self, half: bool, forked: Forked, tmp_path: Path
    ) -> None:
        asked = asked_for(
            adapter=True,
            kernels=False,
            gradient_checkpointing=True,
            chunked_cross_entropy=True,
        )
        asked |= {"sequence_len": 512, "bf16": half}
        model = {**MADE_SMALL, "num_hidden_layers": 2, "vocab_size": 16000}
        cases = tmp_path / "cases.json"
        cases.write_text(json.dumps([{"model": model, "asked": asked}]))
        said = forked.run(COUNTED_STEP, "chunked", cases, log=tmp_path / "log")
        (found,) = json.loads(said.strip().splitlines()[-1])
        assert passing(model, asked) == pytest.approx(found, rel=0.05)

    @pytest.mark.parametrize(
        ("more", "mlp", "attention"),
        [
            ({}, True, True),
            ({"lora_mlp_kernel": True}, True, False),
            ({"lora_qkv_kernel": False}, False, False),
            ({"load_in_8bit": True}, False, False),
            ({"trust_remote_code": True}, False, False),
            ({"lora_target_modules": ["q_proj", "v_proj"]}, False, False),
        ],
    )
    def test_they_are_on_where_axolotl_turns_them_on(
        self, more: dict[str, Any], mlp: bool, attention: bool
    ) -> None:
        linear = "lora_target_modules" not in more
        config = {"adapter": "lora", "lora_target_linear": linear, **more}
        setting = read_setting(config, read_architecture(MADE_SMALL))
        assert (setting.mlp_kernel, setting.attention_kernels) == (mlp, attention)

    def test_full_fine_tuning_by_ligers_loss_counts_the_outputs_gradient(self) -> None:
        model = KNOWN["meta-llama/Llama-3.1-8B"]
        full = {**QLORA, "adapter": None, "load_in_4bit": False}
        one, other = (
            next(p for p in plan_memory(c, model).parts if p.name == "logits")
            for c in (full, QLORA)
        )
        more = one.size_bytes - other.size_bytes
        assert more == 128256 * 4096 * 8
        assert "of the output x 8" in one.formula


FOR_A_GPU = [r for r in shipped_recipes() if not r.name.startswith("quickstart")]


@pytest.mark.slow
@pytest.mark.parametrize("recipe", FOR_A_GPU, ids=lambda recipe: recipe.name)
def test_a_recipes_kernels_work_on_its_kind_of_model_as_planned(
    recipe: Recipe, counted_apart: Callable[..., list[int]]
) -> None:
    """Liger refuses some kinds; what needs a GPU is interpreted."""
    written = yaml.safe_load(recipe.text)
    kind = KNOWN[written["base_model"]]["model_type"]
    model = {**MADE_SMALL, "model_type": kind, "head_dim": 64, "pad_token_id": 0}
    adapter = bool(written.get("adapter"))
    asked = asked_for(adapter=adapter, kernels=adapter, gradient_checkpointing=True)
    asked |= {key: value for key, value in written.items() if key in LIGER}
    (found,) = counted_apart([{"model": model, "asked": asked}])
    assert passing(model, asked) == pytest.approx(found, rel=0.05)


class TestTrainers:
    MODEL = KNOWN["meta-llama/Llama-3.1-8B"]

    def part(self, name: str, trainer: Any = "axolotl", **keys: Any) -> Any:
        made = plan_memory({**QLORA, **keys}, self.MODEL, trainer=trainer)
        return next(part for part in made.parts if part.name == name)

    @pytest.mark.parametrize(("tokens", "gb"), [(2972, 8.0), (78475, 24.0)])
    def test_unsloths_own_figures_are_within_fifteen_percent(
        self, tokens: int, gb: float
    ) -> None:
        asked = {**QLORA, "sequence_len": tokens, "micro_batch_size": 1}
        made = plan_memory(asked, self.MODEL, trainer="unsloth")
        assert made.peak_bytes / 1e9 == pytest.approx(gb, rel=0.15)

    def test_hidden_states_in_the_hosts_memory_are_those_of_all_but_two_layers(
        self,
    ) -> None:
        asked = {**QLORA, "activation_offloading": "hidden_states"}
        made = plan_memory(asked, self.MODEL)
        assert "activation_offloading" not in made.not_planned
        here = self.part("checkpoints", activation_offloading="hidden_states")
        assert here.size_bytes * 32 == self.part("checkpoints").size_bytes * 2
        assert "in the host's memory" in here.note

    def test_trls_adapters_on_quantised_weights_have_sixteen_bits(self) -> None:
        kept = [self.part("adapters", trainer) for trainer in ("axolotl", "trl")]
        assert kept[0].size_bytes == 2 * kept[1].size_bytes

    def test_trls_chunks_do_not_grow_with_the_rows(self) -> None:
        sizes = [
            self.part(
                "logits",
                "trl",
                loss_type="chunked_nll",
                sequence_len=tokens,
                micro_batch_size=1,
            ).size_bytes
            for tokens in (1024, 2048)
        ]
        assert sizes[1] - sizes[0] == 1024 * 2 * 4096 * 2  # the hidden states

    def test_the_command_takes_the_trainer(self, tmp_path: Path) -> None:
        path = tmp_path / "mine.yml"
        model = {"base_model": "meta-llama/Llama-3.1-8B", "sequence_len": 32768}
        path.write_text(yaml.safe_dump({**QLORA, **model}))
        peaks = []
        for trainer in ("axolotl", "unsloth"):
            command = ["plan", str(path), "--json", "--trainer", trainer]
            peaks.append(json.loads(CliRunner().invoke(main, command).stdout))
        assert peaks[1]["peak_bytes"] < peaks[0]["peak_bytes"]


class TestBatch:
    def test_the_micro_batch_divides_the_wanted_batch(self) -> None:
        config = {"sftguide": {"effective_batch_size": 32}, "num_epochs": 2}
        made = plan_batch(config, 7, gpus=2, rows=3200)
        assert made is not None
        assert (made.micro_batch_size, made.accumulation, made.gpus) == (4, 4, 2)
        assert (made.samples, made.steps_an_epoch, made.steps) == (32, 100, 200)

    def test_without_an_effective_batch_size_the_product_is_kept(self) -> None:
        config = {"micro_batch_size": 2, "gradient_accumulation_steps": 9}
        made = plan_batch(config, 5, rows=180)
        assert made is not None
        assert (made.micro_batch_size, made.accumulation, made.samples) == (3, 6, 18)

    def test_auto_chooses_for_the_rows(self) -> None:
        config = {"adapter": "lora", "sftguide": {"effective_batch_size": "auto"}}
        made = plan_batch(config, 8, rows=5000)
        assert made is not None
        assert made.samples == 16
        assert plan_batch(config, 8) is None

    def test_packed_samples_follow_from_the_rows_tokens(self) -> None:
        config = {
            "sftguide": {"effective_batch_size": 32},
            "sample_packing": True,
            "sequence_len": 4096,
        }
        made = plan_batch(config, 8, rows=8000, row_tokens=512)
        assert made is not None
        assert (made.micro_batch_size, made.accumulation) == (1, 4)
        assert (made.sequences, made.samples) == (4, 32)
        assert made.steps_an_epoch == 250
        assert plan_batch(config, 8, rows=8000) is None

    def test_packed_samples_are_unknown_without_row_tokens(
        self,
    ) -> None:
        config = {"sample_packing": True, "gradient_accumulation_steps": 4}
        made = plan_batch(config, 8, rows=8000)
        assert made is not None
        assert (made.sequences, made.samples, made.steps) == (4, None, None)

    @pytest.mark.parametrize(
        ("samples", "nearest"), [(9, "8 or 10"), (1, "2"), (63, "62 or 64")]
    )
    def test_a_batch_that_the_gpus_do_not_divide_is_refused(
        self, samples: int, nearest: str
    ) -> None:
        config = {"sftguide": {"effective_batch_size": samples}}
        with pytest.raises(PlanError, match=f"of 2 GPUs; nearest: {nearest}$"):
            plan_batch(config, 8, gpus=2)

    def test_auto_comes_as_near_as_whole_micro_batches_do(self) -> None:
        block = {"sftguide": {"effective_batch_size": "auto"}, "adapter": "lora"}
        made = plan_batch({**block, "micro_batch_size": 3}, 8, gpus=2, rows=5000)
        assert made is not None
        assert (made.micro_batch_size, made.accumulation, made.samples) == (3, 3, 18)

    @pytest.mark.parametrize("asked", ["many", -3, True, None, [32]])
    def test_a_wrong_batch_is_left_to_the_check(self, asked: Any) -> None:
        config = {"sftguide": {"effective_batch_size": asked}, "micro_batch_size": 4}
        made = plan_batch(config, 8)
        assert made is not None
        assert made.sequences == 4

    def test_max_steps_end_it_earlier(self) -> None:
        made = plan_batch({"max_steps": 7}, 1, rows=100)
        assert made is not None
        assert (made.steps_an_epoch, made.steps) == (100, 7)


class TestPlan:
    def test_the_largest_micro_batch_fits_and_one_more_does_not(self) -> None:
        for name, model in KNOWN.items():
            most = plan_memory({"base_model": name, **QLORA}, model).largest_micro_batch
            if read_architecture(model).parameters > 20e9:
                continue
            assert most > 0
            for micro, fits in ((most, True), (most + 1, False)):
                asked = {**QLORA, "micro_batch_size": micro}
                assert plan_memory(asked, model).fits == fits

    def test_full_fine_tuning_of_7b_needs_more_than_one_24_gib_gpu(self) -> None:
        full = {"bf16": True, "gradient_checkpointing": True, "sequence_len": 2048}
        model = KNOWN["mistralai/Mistral-7B-v0.1"]
        one = plan_memory(full, model)
        assert not one.fits
        assert one.largest_micro_batch == 0
        sharded = {**full, "fsdp_version": 2, "fsdp_config": {"x": 1}}
        node = plan_memory(sharded, model, gpu_bytes=80 * 2**30, gpus=8)
        assert node.fits
        weights = next(p for p in node.parts if p.name == "weights")
        assert weights.size_bytes == 4 * node.architecture.parameters // 8

    def test_the_loss_kernel_decides_what_the_logits_take(self) -> None:
        model = KNOWN["meta-llama/Llama-3.1-8B"]
        sizes = []
        for key in (
            "none",
            "chunked_cross_entropy",
            "liger_fused_linear_cross_entropy",
            "cut_cross_entropy",
        ):
            asked = {**QLORA, "liger_fused_linear_cross_entropy": False, key: True}
            parts = plan_memory(asked, model).parts
            sizes.append(next(p.size_bytes for p in parts if p.name == "logits"))
        assert sizes == sorted(sizes, reverse=True)
        assert sizes[0] == 2048 * (128256 * 12 + 3 * 4096 * 2)

    def test_modules_that_are_trained_whole_count(self) -> None:
        model = KNOWN["Qwen/Qwen3-8B-Base"]
        plain = plan_memory(QLORA, model)
        whole = plan_memory(
            {**QLORA, "lora_modules_to_save": ["embed_tokens", "lm_head"]}, model
        )
        more = 2 * 151936 * 4096
        sizes = [
            next(p.size_bytes for p in plan.parts if p.name == "gradients")
            for plan in (plain, whole)
        ]
        assert sizes[1] - sizes[0] == 4 * more

    @pytest.mark.parametrize(
        ("sharing", "held"),
        [
            # Bytes a parameter of weights, gradients and optimizer on four GPUs.
            ({}, (2, 2, 4)),
            ({"deepspeed": "deepspeed_configs/zero1.json"}, (2, 2, 12 / 4)),
            ({"deepspeed": "deepspeed_configs/zero2_torch.json"}, (2, 2 / 4, 12 / 4)),
            ({"deepspeed": "zero3_bf16.json"}, (2 / 4, 2 / 4, 12 / 4)),
            ({"deepspeed": {"zero_optimization": {"stage": 2}}}, (2, 2 / 4, 12 / 4)),
            ({"fsdp_config": {"reshard_after_forward": True}}, (1, 1, 8 / 4)),
        ],
        ids=["none", "zero1", "zero2", "zero3", "zero2 written out", "fsdp"],
    )
    def test_gpus_share_what_their_engine_divides(
        self, sharing: dict[str, Any], held: tuple[float, float, float]
    ) -> None:
        model = KNOWN["mistralai/Mistral-7B-v0.1"]
        config = {"bf16": True, "optimizer": "adamw_torch_fused", **sharing}
        parts = plan_memory(config, model, gpus=4).parts
        size = {part.name: part.size_bytes for part in parts}
        each = [size[n] / 7_241_732_096 for n in ("weights", "gradients", "optimizer")]
        assert each == pytest.approx(list(held), rel=1e-6)
        # Without an engine DDP keeps each gradient once more, in buckets.
        assert ("gradient buckets" in size) == (not sharing)
        whole = "zero3" in str(sharing) or "fsdp_config" in sharing
        assert ("gathered weights" in size) == whole

    @pytest.mark.parametrize(
        ("lines", "key"),
        [
            ({"activation_offloading": True}, "activation_offloading"),
            ({"peft_use_dora": True}, "peft_use_dora"),
            ({"attn_implementation": "xformers"}, "attn_implementation: xformers"),
            ({"optimizer": "galore_adamw"}, "optimizer: galore_adamw"),
            ({"tensor_parallel_size": 2}, "tensor_parallel_size"),
            ({"gradient_checkpointing": "offload"}, "gradient_checkpointing: offload"),
        ],
    )
    def test_keys_that_are_not_planned_are_named(
        self, lines: dict[str, Any], key: str
    ) -> None:
        made = plan_memory({**QLORA, **lines}, KNOWN["Qwen/Qwen3-8B-Base"])
        assert made.not_planned == (key,)
        assert plan_memory(QLORA, KNOWN["Qwen/Qwen3-8B-Base"]).not_planned == ()

    def test_exact_is_said_only_of_states_whose_keys_are_planned(self) -> None:
        model = KNOWN["Qwen/Qwen3-8B-Base"]
        assert plan_memory(QLORA, model).states_are_exact
        passing = {**QLORA, "activation_offloading": True}
        assert plan_memory(passing, model).states_are_exact
        for lines in ({"peft_use_dora": True}, {"optimizer": "apollo_adamw"}):
            assert not plan_memory({**QLORA, **lines}, model).states_are_exact

    def test_axolotls_defaults_are_filled_in(self) -> None:
        model = KNOWN["Qwen/Qwen3-8B-Base"]
        config = {key: value for key, value in QLORA.items() if key != "bf16"}
        assert plan_memory(config, model).parts == plan_memory(QLORA, model).parts
        empty = plan_memory({**QLORA, "bf16": None}, model)  # which is no default
        assert empty.peak_bytes > plan_memory(QLORA, model).peak_bytes

    def test_a_plugins_keys_count_where_it_is_listed(self) -> None:
        model = KNOWN["meta-llama/Llama-3.1-8B"]
        cut = "axolotl.integrations.cut_cross_entropy.CutCrossEntropyPlugin"
        fused = {"liger_fused_linear_cross_entropy": True}
        plain = {k: v for k, v in QLORA.items() if "cross_entropy" not in k}
        losses = [
            read_setting({**plain, **lines}, read_architecture(model)).loss
            for lines in (
                {"plugins": [], **fused},
                {"plugins": LIGER["plugins"], **fused},
                {"plugins": [cut]},
                {"plugins": [cut], "cut_cross_entropy": False},
            )
        ]
        assert losses == ["plain", "liger", "cut", "plain"]

    def test_an_evaluation_has_a_peak_of_its_own(self) -> None:
        model = KNOWN["meta-llama/Llama-3.1-8B"]
        asked = {**QLORA, "val_set_size": 0.1, "eval_steps": 50, "eval_batch_size": 16}
        made = plan_memory(asked, model)
        assert made.peak_at == "evaluation"
        logits = next(p for p in made.parts if p.name == "evaluation logits")
        assert logits.size_bytes == 16 * 2048 * 128256 * 10
        packed = plan_memory({**asked, "sample_packing": True}, model)
        micro = QLORA["micro_batch_size"]
        logits = next(p for p in packed.parts if p.name == "evaluation logits")
        assert logits.size_bytes == micro * 2048 * 128256 * 10
        never = plan_memory({**QLORA, "val_set_size": 0.1}, model)
        assert never.peak_bytes == plan_memory(QLORA, model).peak_bytes

    @pytest.mark.parametrize("rows", [None, 1, 16])
    def test_the_parts_at_the_peak_add_up_to_it(self, rows: int | None) -> None:
        model = KNOWN["meta-llama/Llama-3.1-8B"]
        evaluated = {"val_set_size": 0.1, "eval_steps": 50, "eval_batch_size": rows}
        made = plan_memory({**QLORA, **(evaluated if rows else {})}, model)
        held = [part for part in made.parts if part.name in made.at_peak]
        assert sum(part.size_bytes for part in held) == made.peak_bytes
        peaks = [made.step_bytes, made.evaluation_bytes or 0]
        assert made.peak_bytes == max(peaks)
        assert (made.evaluation_bytes is None) == (rows is None)

    def test_an_evaluation_on_the_rows_that_the_mix_holds_out_is_planned(self) -> None:
        model = KNOWN["Qwen/Qwen3-8B-Base"]
        block = {"mix": {"held_out": 0.01, "phases": []}}
        asked = {**QLORA, **LIGER, "evals_per_epoch": 4, "sftguide": block}
        made = plan_memory(asked, model)
        assert made.peak_at == "evaluation"
        block["mix"]["held_out"] = 0
        assert plan_memory(asked, model).peak_at != "evaluation"

    def test_eager_attention_writes_its_scores(self) -> None:
        model = KNOWN["meta-llama/Llama-3.1-8B"]
        flash, eager = (
            plan_memory({**QLORA, "attn_implementation": name}, model).peak_bytes
            for name in ("flash_attention_2", "eager")
        )
        assert eager - flash > 32 * 2048**2 * 6

    @pytest.mark.parametrize(
        ("sharing", "away"),
        [
            (
                {"fsdp_config": {"offload_params": True}},
                {"weights", "gradients", "optimizer"},
            ),
            (
                {"fsdp_config": {"fsdp_offload_params": True}},
                {"weights", "gradients", "optimizer"},
            ),
            (
                {"deepspeed": "deepspeed_configs/zero3_bf16_cpuoffload_all.json"},
                {"weights", "gradients", "optimizer"},
            ),
            ({"deepspeed": "zero3_bf16_cpuoffload_params.json"}, {"weights"}),
            (
                {
                    "deepspeed": {
                        "zero_optimization": {
                            "stage": 2,
                            "offload_optimizer": {"device": "cpu"},
                        }
                    }
                },
                {"gradients", "optimizer"},
            ),
            ({"deepspeed": "zero3_bf16.json"}, set()),
        ],
    )
    def test_what_is_offloaded_is_not_on_the_gpu(
        self, sharing: dict[str, Any], away: set[str]
    ) -> None:
        config = {"bf16": True, "gradient_checkpointing": True, **sharing}
        parts = plan_memory(config, KNOWN["Qwen/Qwen2.5-32B"], gpus=8).parts
        gone = {part.name for part in parts if part.size_bytes == 0}
        assert gone == away
        for part in parts:
            assert ("in the host's memory" in part.note) == (part.name in away)

    def test_one_gpu_shares_nothing(self) -> None:
        model = KNOWN["mistralai/Mistral-7B-v0.1"]
        config = {"bf16": True, "fsdp_config": {"reshard_after_forward": True}}
        alone = plan_memory(config, model).parts
        assert alone == plan_memory({"bf16": True}, model).parts

    def test_embeddings_count_by_their_full_name(self) -> None:
        model = KNOWN["Qwen/Qwen3-8B-Base"]
        short, full = (
            plan_memory({**QLORA, "lora_modules_to_save": names}, model)
            for names in (["embed_tokens"], ["model.embed_tokens"])
        )
        assert short.parts == full.parts

    def test_no_targets_are_refused(self) -> None:
        config = {key: v for key, v in QLORA.items() if key != "lora_target_linear"}
        with pytest.raises(PlanError, match="lora_target_modules is not set"):
            plan_memory(config, KNOWN["Qwen/Qwen3-8B-Base"])

    def test_all_wrong_numbers_are_reported_together(self) -> None:
        wrong = {
            "base_model": "Qwen/Qwen3-8B-Base",
            "micro_batch_size": "many",
            "sequence_len": 0,
            "gradient_accumulation_steps": 1.5,
            "num_epochs": [2],
        }
        with pytest.raises(PlanError) as caught:
            plan_memory(wrong, KNOWN["Qwen/Qwen3-8B-Base"])
        assert str(caught.value).split("; ") == [
            "micro_batch_size must be a whole number, got 'many'",
            "gradient_accumulation_steps must be a whole number, at least 1, got 1.5",
            "sequence_len must be a whole number, at least 1, got 0",
            "num_epochs must be a number, got [2]",
        ]

    @pytest.mark.parametrize("value", [1e308, 10**9 + 1, "inf", math.inf, 10**400])
    def test_a_number_that_no_training_has_is_refused(self, value: Any) -> None:
        config = {**QLORA, "micro_batch_size": value}
        with pytest.raises(PlanError, match=r"at most 1,000,000,000, got"):
            plan_memory(config, KNOWN["Qwen/Qwen3-8B-Base"])

    def test_numeric_text_counts_as_a_number_as_it_does_for_axolotl(self) -> None:
        model = KNOWN["Qwen/Qwen3-8B-Base"]
        text = {**QLORA, "sequence_len": "2048", "num_epochs": "1e0"}
        assert plan_memory(text, model) == plan_memory(QLORA, model)


class TestCommand:
    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        text = "# mine\nbase_model: Qwen/Qwen3-8B-Base\n" + yaml.safe_dump(QLORA)
        text = text.replace(
            "micro_batch_size: 1", "micro_batch_size: 1   # [fits]\n# a comment"
        )
        (tmp_path / "mine.yml").write_text(text)
        return tmp_path / "mine.yml"

    def test_parts_peak_and_verdict_are_printed(self, path: Path) -> None:
        done = CliRunner().invoke(main, ["plan", str(path)])
        assert done.exit_code == 0, done.output
        for word in ("quantised weights", "adapters", "optimizer", "logits", "peak"):
            assert word in done.output
        assert "fits in 24.00 GiB (estimated)" in done.output
        assert re.search(r"Largest micro batch that fits: \d+\.", done.output)
        assert "the rest is estimated" in done.output
        assert "1 sample = micro batch 1 x 1 x 1 GPU" in done.output
        assert "unknown: there is no run history yet" in done.output

    def test_the_printed_sizes_add_up_to_the_peak(self, path: Path) -> None:
        evaluated = "val_set_size: 0.1\neval_steps: 50\neval_batch_size: 4\n"
        path.write_text(path.read_text() + evaluated)
        lines = CliRunner().invoke(main, ["plan", str(path)]).output.splitlines()
        sizes = [re.match(r"(.{25}) {2,}([\d.]+) GiB {2}", line) for line in lines]
        *parts, peak = [float(found[2]) for found in sizes if found]
        assert sum(parts) == pytest.approx(peak, abs=0.05)
        text = " ".join(" ".join(lines).split())
        assert "an evaluation of 4 x 2,048; a step needs" in text
        assert max(map(len, lines)) <= 80

    def test_a_packed_evaluation_has_the_rows_of_the_micro_batch(
        self, path: Path
    ) -> None:
        """Without a fused loss in the evaluation, its logits are the peak."""
        evaluated = "val_set_size: 0.1\neval_steps: 50\nsample_packing: true\n"
        fused = "liger_fused_linear_cross_entropy: true\n"
        plugins = "plugins: [axolotl.integrations.liger.LigerPlugin]\n"
        path.write_text(path.read_text() + evaluated + fused + plugins)
        text = " ".join(CliRunner().invoke(main, ["plan", str(path)]).output.split())
        assert "an evaluation of 1 x 2,048; a step needs" in text

    def test_steps_are_printed_if_the_rows_are_known(self, path: Path) -> None:
        text = path.read_text() + "gradient_accumulation_steps: 16\nnum_epochs: 2\n"
        path.write_text(text)
        words = ["plan", str(path), "--rows", "24000", "--gpus", "2"]
        done = CliRunner().invoke(main, words)
        assert "32 samples = micro batch 16 x 1 x 2 GPUs" in done.output
        assert "750 steps per epoch, 1,500 in all" in " ".join(done.output.split())

    def test_where_nothing_fits_no_micro_batch_is_told(self, path: Path) -> None:
        words = ["plan", str(path), "--rows", "24000", "--gpu-memory", "2GiB"]
        answer = CliRunner().invoke(main, [*words, "--json"])
        assert answer.exit_code == 1
        batch = json.loads(answer.stdout)["batch"]
        assert batch["micro_batch_size"] is batch["accumulation"] is None
        assert batch["steps"] == 24_000
        shown = " ".join(CliRunner().invoke(main, words).output.split())
        assert "batch no micro batch fits; 24,000 steps per epoch" in shown

    def test_packed_data_need_their_row_length(self, path: Path) -> None:
        block = "sample_packing: true\nsftguide: {effective_batch_size: 32}\n"
        path.write_text(path.read_text() + block)
        done = CliRunner().invoke(main, ["plan", str(path)])
        assert "pass --rows and --row-tokens, or --data" in " ".join(
            done.output.split()
        )
        words = ["plan", str(path), "--rows", "8000", "--row-tokens", "256"]
        done = CliRunner().invoke(main, words)
        assert "about 32 samples in 4 sequences = micro batch 1 x 4" in done.output

    def test_hours_come_from_earlier_runs(self, path: Path, tmp_path: Path) -> None:
        url = str(tmp_path / "h.db")
        fields = {
            "base_model": "Qwen/Qwen3-8B-Base",
            "adapter": {"r": 16},
            "quantization": {"load_in_4bit": True},
            "sequence_len": 2048,
            "packing": False,
            "ranks": 1,
        }
        row = run_row(key_fields=fields, device="NVIDIA GeForce RTX 4090")
        RunHistory(url).begin(row)
        # 8 samples a step of 4 seconds: 2 a second, so 7,200 in an hour.
        RunHistory(url).progress("r1", step=10, samples_seen=80, step_s=4.0)
        words = ["plan", str(path), "--storage", url, "--rows", "7200"]
        done = CliRunner().invoke(main, words)
        said = " ".join(done.output.split())
        assert "about 1h 00m on NVIDIA GeForce RTX 4090 (2 samples/s per GPU" in said
        two = CliRunner().invoke(main, [*words, "--gpus", "2", "--json"])
        (past,) = json.loads(two.output)["throughput"]
        assert (past["hours"], past["runs"]) == (0.5, 1)
        without = CliRunner().invoke(main, words[:4])
        assert "unknown without --rows on NVIDIA" in without.output

    def test_an_unreadable_history_leaves_only_the_time_unknown(
        self, path: Path, tmp_path: Path
    ) -> None:
        (tmp_path / "h.db").write_text("no database\n" * 100)
        words = ["plan", str(path), "--storage", str(tmp_path / "h.db")]
        done = CliRunner().invoke(main, words)
        assert done.exit_code == 0
        assert "unknown: run history" in done.output

    def test_a_plan_makes_no_history(self, path: Path, tmp_path: Path) -> None:
        words = ["plan", str(path), "--storage", str(tmp_path / "new.db")]
        assert CliRunner().invoke(main, words).exit_code == 0
        assert not (tmp_path / "new.db").exists()

    def test_what_does_not_fit_ends_with_one(self, path: Path) -> None:
        done = CliRunner().invoke(main, ["plan", str(path), "--gpu-memory", "4GiB"])
        assert done.exit_code == 1
        assert "does not fit in 4.00 GiB" in done.output
        assert "Largest micro batch that fits: none." in done.output

    def test_what_is_written_makes_the_same_batch_and_keeps_comments(
        self, path: Path
    ) -> None:
        path.write_text(path.read_text() + "gradient_accumulation_steps: 32  # why\n")
        target = path.with_name("out.yml")
        CliRunner().invoke(main, ["plan", str(path), "--write", str(target)])
        was, now = path.read_text().splitlines(), target.read_text().splitlines()
        changed = [(a, b) for a, b in zip(was, now, strict=True) if a != b]
        made = yaml.safe_load(target.read_text())
        micro, accumulation = (
            made["micro_batch_size"],
            made["gradient_accumulation_steps"],
        )
        assert micro > 1
        assert micro * accumulation == 32
        assert changed == [
            ("micro_batch_size: 1   # [fits]", f"micro_batch_size: {micro}   # [fits]"),
            (
                "gradient_accumulation_steps: 32  # why",
                f"gradient_accumulation_steps: {accumulation}  # why",
            ),
        ]
        second = CliRunner().invoke(main, ["plan", str(target)])
        assert second.exit_code == 0

    def test_a_derived_accumulation_is_not_written(self, path: Path) -> None:
        path.write_text(path.read_text() + "sftguide: {effective_batch_size: 12}\n")
        target = path.with_name("out.yml")
        CliRunner().invoke(main, ["plan", str(path), "--write", str(target)])
        made = yaml.safe_load(target.read_text())
        assert made["micro_batch_size"] == 12
        assert "gradient_accumulation_steps" not in made

    def test_json_has_bytes_and_formulas(self, path: Path) -> None:
        done = CliRunner().invoke(main, ["plan", str(path), "--json"])
        said = json.loads(done.output)
        assert said["parameters"] == 8_190_735_360
        assert said["fits"] is True
        assert all(part["formula"] and part["source"] for part in said["parts"])

    def test_a_local_folder_and_the_hubs_cache_are_read(
        self, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        repository = tmp_path / "hub" / "models--a--b"
        snapshot = repository / "snapshots" / "1"
        newer = repository / "snapshots" / "2"  # of another branch
        for folder in (snapshot, newer, repository / "refs"):
            folder.mkdir(parents=True)
        (repository / "refs" / "main").write_text("1")
        (newer / "config.json").write_text(json.dumps(KNOWN["Qwen/Qwen2.5-7B"]))
        model = json.dumps(KNOWN["meta-llama/Llama-3.2-1B"])
        (snapshot / "config.json").write_text(model)
        monkeypatch.setattr(
            "huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub")
        )
        for name in ("a/b", str(snapshot)):
            text = path.read_text().replace("Qwen/Qwen3-8B-Base", name)
            path.write_text(text)
            done = CliRunner().invoke(main, ["plan", str(path), "--json"])
            assert json.loads(done.output)["parameters"] == 1_235_814_400
            path.write_text(text.replace(name, "Qwen/Qwen3-8B-Base"))

    @pytest.mark.parametrize(
        ("old", "new", "says"),
        [
            (
                "Qwen/Qwen3-8B-Base",
                "nobody/knows",
                "no config.json for base_model 'nobody/knows' here or on the Hub",
            ),
            (
                "sequence_len: 2048",
                "sequence_len: long",
                "sequence_len must be a whole number, got 'long'",
            ),
        ],
    )
    def test_what_cannot_be_planned_is_one_line(
        self, path: Path, old: str, new: str, says: str
    ) -> None:
        path.write_text(path.read_text().replace(old, new))
        done = CliRunner().invoke(main, ["plan", str(path)])
        assert done.exit_code == 2
        assert says in done.output
        assert len(done.output.strip().splitlines()) == 1

    @pytest.mark.parametrize("size", ["0", "0GiB", "-5GiB", "lots", "1e400GiB"])
    def test_no_memory_is_no_size(self, path: Path, size: str) -> None:
        done = CliRunner().invoke(main, ["plan", str(path), "--gpu-memory", size])
        assert done.exit_code == 2
        assert f"{size!r} is not a size; write 24GiB or 24GB" in done.output

    @pytest.mark.parametrize(
        ("text", "size"),
        [
            ("24", 24 * 2**30),
            ("24GiB", 24 * 2**30),
            ("24gb", 24 * 10**9),
            ("1.5 GiB", 3 * 2**29),
            ("500MB", 500 * 10**6),
        ],
    )
    def test_a_size_has_a_unit_or_is_in_gib(
        self, path: Path, text: str, size: int
    ) -> None:
        words = ["plan", str(path), "--gpu-memory", text, "--json"]
        done = CliRunner().invoke(main, words)
        assert json.loads(done.output)["gpu_bytes"] == size

    @pytest.mark.parametrize("more", [[], ["--verbose"]])
    def test_lines_fit_eighty_columns(self, path: Path, more: list[str]) -> None:
        path.write_text(path.read_text() + "sample_packing: true\n")
        done = CliRunner().invoke(main, ["plan", str(path), *more])
        table = [x for x in done.output.splitlines() if str(path.parent) not in x]
        assert max(map(len, table)) <= 80
        assert ("numbers x" in done.output) == bool(more)

    def test_values_change_in_place_whatever_their_form(self) -> None:
        text = "# a: 1\na : '1'  # why\nb: {a: 1,\n  c: [1,2]}\nc:\n- 1\n"
        assert with_values(text, {"a": 16}) == text.replace("'1'", "16")
        assert with_values(text, {"a": 2, "d": 3}) == (
            text.replace("'1'", "2") + "d: 3\n"
        )
        assert with_values(text, {}) == text

    def test_a_text_that_is_no_size_is_refused(self, path: Path) -> None:
        done = CliRunner().invoke(main, ["plan", str(path), "--gpu-memory", "much"])
        assert done.exit_code == 2
        assert "'much' is not a size; write 24GiB or 24GB" in done.output


def test_every_adapter_recipe_fits_on_its_card_by_estimate() -> None:
    planned = 0
    for recipe in shipped_recipes():
        config = yaml.safe_load(recipe.text)
        model = KNOWN.get(config["base_model"])
        if model is not None and config.get("adapter"):
            made = plan_memory(config, model)
            assert made.fits
            assert made.largest_micro_batch > config["micro_batch_size"]
            planned += 1
    assert planned == 4
