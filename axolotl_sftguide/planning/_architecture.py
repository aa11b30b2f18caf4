"""Shapes of a dense decoder's weights, from its `config.json`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from ..config.validation import shown
from ..errors import PlanError, did_you_mean

NormKind = Literal["rms", "float32 rms", "layer"]
"""RMSNorm with its scale in 16 bits, RMSNorm with its scale in 32 bits, LayerNorm."""


@dataclass(frozen=True, slots=True)
class Linear:
    """A linear layer of a decoder layer."""

    name: str
    inputs: int
    outputs: int
    bias: bool = False

    @property
    def numbers(self) -> int:
        """Number of elements of the weight, without the bias."""
        return self.inputs * self.outputs


@dataclass(frozen=True, slots=True)
class Architecture:
    """The shapes of a decoder-only model."""

    model_type: str
    hidden: int
    inner: int
    layers: int
    heads: int
    kv_heads: int
    head_width: int
    vocabulary: int
    """Size of the vocabulary."""
    tied: bool
    """Whether the output shares its weights with the embedding."""
    linears: tuple[Linear, ...]
    """The linear layers of one decoder layer."""
    norms: int
    """Parameters of the norms of one decoder layer."""
    last_norm: int
    """Parameters of the norm before the output."""
    normed: int
    """Elements per token that pass through the norms of one decoder layer."""
    norm_kind: NormKind = "rms"
    post_norms: bool = False
    """Whether outputs of attention and MLP are normalised, not their inputs."""
    capped_logits: bool = False
    """Whether a tanh bounds the logits."""
    residual_multiplier: bool = False
    """Whether outputs of attention and MLP are scaled before they are added."""
    experts: int = 0
    """Number of experts in an MLP; 0 for a dense model."""
    expert_numbers: int = 0
    """Parameters of the experts and the router of one decoder layer."""

    @property
    def gated(self) -> bool:
        """Whether the MLP is gated."""
        return any("gate" in linear.name for linear in self.linears)

    @property
    def embedding(self) -> int:
        """Parameters of the embedding, and of the output if it is not tied."""
        return self.vocabulary * self.hidden * (1 if self.tied else 2)

    @property
    def quantisable(self) -> int:
        """Parameters of the linear layers' weights, without the output."""
        return self.layers * sum(linear.numbers for linear in self.linears)

    @property
    def biases(self) -> int:
        """Parameters of the linear layers' biases."""
        return self.layers * sum(
            linear.outputs for linear in self.linears if linear.bias
        )

    @property
    def parameters(self) -> int:
        """All parameters of the model."""
        norms = self.layers * self.norms + self.last_norm
        dense = self.embedding + self.quantisable + self.biases + norms
        return dense + self.layers * self.expert_numbers


def read_architecture(
    config: Mapping[str, Any], name: str = "config.json"
) -> Architecture:
    """Read a model's shapes from its `config.json`.

    Args:
        config: The content of `config.json`.
        name: The model's name in error messages.

    Raises:
        PlanError: If the architecture is not supported, with the reason.
    """
    model_type = str(config.get("model_type", "none"))
    _refuse(config, model_type, name)
    if model_type not in _READERS:
        raise PlanError(
            f"{name}: model_type {model_type!r} is not supported"
            f"{did_you_mean(model_type, _READERS)} (supported: {', '.join(_READERS)}); "
            "pass --simulate"
        )
    try:
        made = _READERS[model_type](config, model_type)
    except (KeyError, TypeError, ValueError, ArithmeticError) as error:
        raise PlanError(
            f"{name}: config.json lacks a number that the plan needs ({error})"
        ) from None
    sizes = (made.hidden, made.inner, made.heads, made.kv_heads, made.head_width)
    if not all(0 < size <= _LARGEST for size in (*sizes, made.vocabulary)):
        raise PlanError(f"{name}: config.json has sizes of no model ({shown(sizes)})")
    if not 0 < made.layers <= _MOST_LAYERS:
        raise PlanError(f"{name}: num_hidden_layers cannot be {shown(made.layers, 40)}")
    return made


_LARGEST, _MOST_LAYERS = 10**8, 10_000
"""Of a hidden state, an MLP or a vocabulary; the largest known have 10**6."""

_EXPERTS = ("num_local_experts", "num_experts", "n_routed_experts", "moe_num_experts")
_MIXED = ("mamba", "linear_attention", "conv", "recurrent", "ssm")


def _refuse(config: Mapping[str, Any], model_type: str, name: str) -> None:
    if "vision_config" in config or "audio_config" in config or "text_config" in config:
        raise PlanError(
            f"{name}: {model_type} is multimodal; only text models can be planned; "
            "pass --simulate for its text part"
        )
    for key in _EXPERTS:
        if config.get(key):
            raise PlanError(
                f"{name}: {model_type} is a mixture of experts ({key}: {config[key]}); "
                "only dense models can be planned; pass --simulate"
            )
    kinds = {str(kind) for kind in config.get("layer_types") or ()}
    mixed = sorted(k for k in kinds if any(word in k for word in _MIXED))
    if mixed or any(key.startswith(("mamba_", "ssm_")) for key in config):
        layers = ", ".join(mixed) or "state-space layers"
        raise PlanError(
            f"{name}: {model_type} is hybrid ({layers}); only transformers can be "
            "planned; pass --simulate"
        )


def _sizes(config: Mapping[str, Any]) -> tuple[int, int, int, int, int]:
    """Sizes of hidden state and MLP; heads, key-value heads, width of a head."""
    hidden, inner = int(config["hidden_size"]), int(config["intermediate_size"])
    heads = int(config["num_attention_heads"])
    kv = int(config.get("num_key_value_heads") or heads)
    width = _HEAD_WIDTHS.get(str(config.get("model_type")), hidden // heads)
    return hidden, inner, heads, kv, int(config.get("head_dim") or width)


_HEAD_WIDTHS = {"gemma": 256, "gemma2": 256, "gemma3_text": 256, "qwen3": 128}
"""Defaults of transformers for a `config.json` without `head_dim`."""


def _llama(
    config: Mapping[str, Any],
    model_type: str,
    *,
    qkv_bias: bool | None = None,
    o_bias: bool | None = None,
    norms_a_layer: int = 2,
    head_norms: bool = False,
    wide_norms: bool = False,
    norm_kind: NormKind = "rms",
    post_norms: bool = False,
    capped_logits: bool = False,
    residual_multiplier: bool = False,
) -> Architecture:
    """Grouped-query attention and a gated MLP, as in most architectures."""
    hidden, inner, heads, kv, width = _sizes(config)
    attention = bool(config.get("attention_bias", False))
    mlp = bool(config.get("mlp_bias", False))
    first = attention if qkv_bias is None else qkv_bias
    last = attention if o_bias is None else o_bias
    linears = (
        Linear("q_proj", hidden, heads * width, first),
        Linear("k_proj", hidden, kv * width, first),
        Linear("v_proj", hidden, kv * width, first),
        Linear("o_proj", heads * width, hidden, last),
        Linear("gate_proj", hidden, inner, mlp),
        Linear("up_proj", hidden, inner, mlp),
        Linear("down_proj", inner, hidden, mlp),
    )
    norms = normed = norms_a_layer * hidden
    norms += 2 * width if head_norms else 0
    norms += (heads + kv) * width if wide_norms else 0
    normed += (heads + kv) * width if head_norms or wide_norms else 0
    made = _made(config, model_type, linears, norms, hidden, width)
    return replace(
        made,
        normed=normed,
        norm_kind=norm_kind,
        post_norms=post_norms,
        capped_logits=capped_logits,
        residual_multiplier=residual_multiplier,
    )


def _phi3(config: Mapping[str, Any], model_type: str) -> Architecture:
    hidden, inner, heads, kv, width = _sizes(config)
    linears = (
        Linear("qkv_proj", hidden, (heads + 2 * kv) * width),
        Linear("o_proj", heads * width, hidden),
        Linear("gate_up_proj", hidden, 2 * inner),
        Linear("down_proj", inner, hidden),
    )
    return _made(config, model_type, linears, 2 * hidden, hidden, width)


def _starcoder2(config: Mapping[str, Any], model_type: str) -> Architecture:
    hidden, inner, heads, kv, width = _sizes(config)
    bias = bool(config.get("use_bias", True))
    linears = (
        Linear("q_proj", hidden, heads * width, bias),
        Linear("k_proj", hidden, kv * width, bias),
        Linear("v_proj", hidden, kv * width, bias),
        Linear("o_proj", heads * width, hidden, bias),
        Linear("c_fc", hidden, inner, bias),
        Linear("c_proj", inner, hidden, bias),
    )
    made = _made(config, model_type, linears, 4 * hidden, 2 * hidden, width)
    return replace(made, norm_kind="layer")


def _made(
    config: Mapping[str, Any],
    model_type: str,
    linears: tuple[Linear, ...],
    norms: int,
    last_norm: int,
    width: int,
) -> Architecture:
    hidden, inner, heads, kv, _ = _sizes(config)
    return Architecture(
        model_type=model_type,
        hidden=hidden,
        inner=inner,
        layers=int(config["num_hidden_layers"]),
        heads=heads,
        kv_heads=kv,
        head_width=width,
        vocabulary=int(config["vocab_size"]),
        tied=bool(config.get("tie_word_embeddings", model_type in _TIED)),
        linears=linears,
        norms=norms,
        last_norm=last_norm,
        normed=2 * hidden,
    )


_TIED = ("gemma", "gemma2", "gemma3_text", "starcoder2", "smollm3")
"""Architectures whose output is tied to the embedding by default."""

_READERS: dict[str, Callable[[Mapping[str, Any], str], Architecture]] = {
    "llama": _llama,
    "mistral": lambda c, t: _llama(c, t, qkv_bias=False, o_bias=False),
    "granite": lambda c, t: _llama(c, t, residual_multiplier=True),
    "smollm3": _llama,
    "qwen2": lambda c, t: _llama(c, t, qkv_bias=True, o_bias=False),
    "qwen3": lambda c, t: _llama(c, t, head_norms=True),
    "gemma": lambda c, t: _llama(c, t, norm_kind="float32 rms"),
    "gemma2": lambda c, t: _llama(
        c,
        t,
        norms_a_layer=4,
        norm_kind="float32 rms",
        post_norms=True,
        capped_logits=True,
    ),
    "gemma3_text": lambda c, t: _llama(
        c,
        t,
        norms_a_layer=4,
        head_norms=True,
        norm_kind="float32 rms",
        post_norms=True,
    ),
    "olmo2": lambda c, t: _llama(
        c, t, wide_norms=True, norm_kind="float32 rms", post_norms=True
    ),
    "phi3": _phi3,
    "starcoder2": _starcoder2,
}
