"""The `config.json` of public models, for checks and plans without a download.

Only the keys that determine shapes, from each model's page on the Hub. A test compares
the parameters with the published numbers.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from ..config.model_configs import download_model_config, read_model_config
from ._known_others import OTHERS

_KEYS = (
    "model_type",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "head_dim",
    "vocab_size",
    "max_position_embeddings",
    "tie_word_embeddings",
)
_ROWS = """
meta-llama/Llama-3.1-8B             llama   4096 14336  32  32  8 128 128256 131072 0
meta-llama/Llama-3.1-70B            llama   8192 28672  80  64  8 128 128256 131072 0
meta-llama/Llama-3.3-70B            llama   8192 28672  80  64  8 128 128256 131072 0
meta-llama/Llama-3.2-1B             llama   2048  8192  16  32  8  64 128256 131072 1
meta-llama/Llama-3.2-3B             llama   3072  8192  28  24  8 128 128256 131072 1
meta-llama/Meta-Llama-3-8B          llama   4096 14336  32  32  8 128 128256   8192 0
meta-llama/Meta-Llama-3-70B         llama   8192 28672  80  64  8 128 128256   8192 0
meta-llama/Llama-2-7b-hf            llama   4096 11008  32  32 32 128  32000   4096 0
meta-llama/Llama-2-13b-hf           llama   5120 13824  40  40 40 128  32000   4096 0
meta-llama/Llama-2-70b-hf           llama   8192 28672  80  64  8 128  32000   4096 0
huggyllama/llama-7b                 llama   4096 11008  32  32 32 128  32000   2048 0
huggyllama/llama-13b                llama   5120 13824  40  40 40 128  32000   2048 0
codellama/CodeLlama-7b-hf           llama   4096 11008  32  32 32 128  32016  16384 0
codellama/CodeLlama-13b-hf          llama   5120 13824  40  40 40 128  32016  16384 0
codellama/CodeLlama-34b-hf          llama   8192 22016  48  64  8 128  32000  16384 0
openlm-research/open_llama_3b_v2    llama   3200  8640  26  32 32 100  32000   2048 0
TinyLlama/TinyLlama_v1.1            llama   2048  5632  22  32  4  64  32000   2048 0
TinyLlama/TinyLlama-1.1B-Chat-v1.0  llama   2048  5632  22  32  4  64  32000   2048 0
HuggingFaceTB/SmolLM2-135M          llama    576  1536  30   9  3  64  49152   8192 1
HuggingFaceTB/SmolLM2-360M          llama    960  2560  32  15  5  64  49152   8192 1
HuggingFaceTB/SmolLM2-1.7B          llama   2048  8192  24  32 32  64  49152   8192 1
HuggingFaceTB/SmolLM3-3B-Base       smollm3 2048 11008  36  16  4 128 128256  65536 1
01-ai/Yi-6B                         llama   4096 11008  32  32  4 128  64000   4096 0
01-ai/Yi-34B                        llama   7168 20480  60  56  8 128  64000   4096 0
deepseek-ai/deepseek-llm-7b-base    llama   4096 11008  30  32 32 128 102400   4096 0
deepseek-ai/DeepSeek-R1-Distill-Llama-8B llama 4096 14336 32 32 8 128 128256 131072 0
deepseek-ai/DeepSeek-R1-Distill-Qwen-7B qwen2 3584 18944 28 28 4 128 152064 131072 0
deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B qwen2 1536 8960 28 12 2 128 151936 131072 0
deepseek-ai/DeepSeek-R1-Distill-Qwen-14B qwen2 5120 13824 48 40 8 128 152064 131072 0
deepseek-ai/DeepSeek-R1-Distill-Qwen-32B qwen2 5120 27648 64 40 8 128 152064 131072 0
deepseek-ai/DeepSeek-R1-Distill-Llama-70B llama 8192 28672 80 64 8 128 128256 131072 0
mistralai/Mistral-7B-v0.1           mistral 4096 14336  32  32  8 128  32000  32768 0
mistralai/Mistral-7B-v0.2           mistral 4096 14336  32  32  8 128  32000  32768 0
mistralai/Mistral-7B-v0.3           mistral 4096 14336  32  32  8 128  32768  32768 0
mistralai/Mistral-Nemo-Base-2407    mistral 5120 14336  40  32  8 128 131072 131072 0
mistralai/Mistral-Small-24B-Base-2501 mistral 5120 32768 40 32  8 128 131072  32768 0
Qwen/Qwen2-0.5B                     qwen2    896  4864  24  14  2  64 151936 131072 1
Qwen/Qwen2-1.5B                     qwen2   1536  8960  28  12  2 128 151936 131072 1
Qwen/Qwen2-7B                       qwen2   3584 18944  28  28  4 128 152064 131072 0
Qwen/Qwen2.5-0.5B                   qwen2    896  4864  24  14  2  64 151936  32768 1
Qwen/Qwen2.5-1.5B                   qwen2   1536  8960  28  12  2 128 151936 131072 1
Qwen/Qwen2.5-3B                     qwen2   2048 11008  36  16  2 128 151936  32768 1
Qwen/Qwen2.5-7B                     qwen2   3584 18944  28  28  4 128 152064 131072 0
Qwen/Qwen2.5-14B                    qwen2   5120 13824  48  40  8 128 152064 131072 0
Qwen/Qwen2.5-32B                    qwen2   5120 27648  64  40  8 128 152064 131072 0
Qwen/Qwen2.5-72B                    qwen2   8192 29568  80  64  8 128 152064 131072 0
Qwen/Qwen2.5-Coder-7B               qwen2   3584 18944  28  28  4 128 152064  32768 0
Qwen/Qwen2.5-Coder-14B              qwen2   5120 13824  48  40  8 128 152064  32768 0
Qwen/Qwen2.5-Coder-32B              qwen2   5120 27648  64  40  8 128 152064  32768 0
Qwen/Qwen3-0.6B-Base                qwen3   1024  3072  28  16  8 128 151936  40960 1
Qwen/Qwen3-1.7B-Base                qwen3   2048  6144  28  16  8 128 151936  40960 1
Qwen/Qwen3-4B-Base                  qwen3   2560  9728  36  32  8 128 151936  40960 1
Qwen/Qwen3-4B-Instruct-2507         qwen3   2560  9728  36  32  8 128 151936 262144 1
Qwen/Qwen3-8B-Base                  qwen3   4096 12288  36  32  8 128 151936  40960 0
Qwen/Qwen3-14B-Base                 qwen3   5120 17408  40  40  8 128 151936  40960 0
Qwen/Qwen3-32B                      qwen3   5120 25600  64  64  8 128 151936  40960 0
google/gemma-2b                     gemma   2048 16384  18   8  1 256 256000   8192 1
google/gemma-7b                     gemma   3072 24576  28  16 16 256 256000   8192 1
google/gemma-2-2b                   gemma2  2304  9216  26   8  4 256 256000   8192 1
google/gemma-2-9b                   gemma2  3584 14336  42  16  8 256 256000   8192 1
google/gemma-2-27b                  gemma2  4608 36864  46  32 16 128 256000   8192 1
google/gemma-3-1b-pt                gemma3_text 1152 6912 26 4  1 256 262144  32768 1
google/gemma-3-270m                 gemma3_text 640 2048 18  4  1 256 262144  32768 1
microsoft/Phi-3-mini-4k-instruct    phi3    3072  8192  32  32 32  96  32064   4096 0
microsoft/Phi-3-mini-128k-instruct  phi3    3072  8192  32  32 32  96  32064 131072 0
microsoft/Phi-3.5-mini-instruct     phi3    3072  8192  32  32 32  96  32064 131072 0
microsoft/Phi-3-medium-4k-instruct  phi3    5120 17920  40  40 10 128  32064   4096 0
microsoft/phi-4                     phi3    5120 17920  40  40 10 128 100352  16384 0
microsoft/Phi-4-mini-instruct       phi3    3072  8192  32  24  8 128 200064 131072 1
ibm-granite/granite-4.1-8b-base     granite 4096 12800  40  32  8 128 100352 131072 1
allenai/OLMo-2-1124-7B              olmo2   4096 11008  32  32 32 128 100352   4096 0
allenai/OLMo-2-1124-13B             olmo2   5120 13824  40  40 40 128 100352   4096 0
bigcode/starcoder2-3b               starcoder2 3072 12288 30 24 2 128  49152  16384 1
bigcode/starcoder2-7b               starcoder2 4608 18432 32 36 4 128  49152  16384 1
"""


def _parsed(row: str) -> tuple[str, dict[str, Any]]:
    name, model_type, *numbers = row.split()
    values: list[Any] = [model_type, *map(int, numbers)]
    config = dict(zip(_KEYS, values, strict=True))
    return name, {**config, "tie_word_embeddings": bool(config["tie_word_embeddings"])}


KNOWN: dict[str, dict[str, Any]] = dict(map(_parsed, _ROWS.strip().splitlines()))

_VARIANT = re.compile(
    r"[-_](instruct|chat|it|pt|base|hf|unsloth|bnb|4bit|8bit|meta|sft|thinking|"
    r"bf16|fp16|dynamic|gptq|awq)(?=[-_]|$)"
)
_MIRRORED = re.compile(r"^(meta|unsloth|qwen|mistralai)[-_](?=llama|qwen|mistral)")


class FoundModel(NamedTuple):
    """A model's `config.json`, and where it is from."""

    config: dict[str, Any]
    assumed: str = ""
    """The name of the model whose shapes are assumed; empty for the model itself."""


def _family(name: str) -> str:
    """A model's name without its owner and without what leaves shapes as they are."""
    short = name.rpartition("/")[2].lower()
    while (less := _MIRRORED.sub("", _VARIANT.sub("", short))) != short:
        short = less
    return short


_ALL = {**KNOWN, **OTHERS}
_FAMILIES: dict[str, str] = {}
for _name in _ALL:
    _FAMILIES.setdefault(_family(_name), _name)


def locate_model(name: str, *, download: bool = False) -> FoundModel | None:
    """A model's `config.json`: from a folder, the Hub's cache, the Hub, or `KNOWN`.

    A model with the name of a known one beside `Instruct`, `Chat` or the like has the
    shapes of that one.

    Args:
        name: A repository on the Hub, or a folder.
        download: Whether the Hub may be asked, for this file alone.
    """
    config = read_model_config(name)
    if config is None and name in _ALL:
        config = _ALL[name]
    if config is None and download:
        config = download_model_config(name)
    if config is not None:
        return FoundModel(config)
    alike = _FAMILIES.get(_family(name)) if name else None
    return None if alike is None else FoundModel(_ALL[alike], alike)


def find_model(name: str) -> dict[str, Any] | None:
    """A model's `config.json`, or that of the model that it is a variant of."""
    found = locate_model(name)
    return None if found is None else found.config
