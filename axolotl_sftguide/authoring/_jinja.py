"""Chat templates that mark the answers, for TRL's `assistant_only_loss`.

Only templates of base models are here; a tuned model's own template is used as it is.
"""

from __future__ import annotations

from typing import NamedTuple


class Marks(NamedTuple):
    """The texts before and after the turns of a conversation."""

    user: str
    after_user: str
    assistant: str
    end: str
    after: str = ""
    system: str = ""
    """Empty if the system message is put before the first user message."""
    after_system: str = ""


def _chatml() -> Marks:
    start, end = "<|im_start|>", "<|im_end|>"
    return Marks(
        f"{start}user\\n",
        f"{end}\\n",
        f"{start}assistant\\n",
        end,
        "\\n",
        f"{start}system\\n",
        f"{end}\\n",
    )


def _llama3() -> Marks:
    def head(role: str) -> str:
        return f"<|start_header_id|>{role}<|end_header_id|>\\n\\n"

    end = "<|eot_id|>"
    return Marks(head("user"), end, head("assistant"), end, "", head("system"), end)


_GEMMA = Marks(
    "<start_of_turn>user\\n",
    "<end_of_turn>\\n",
    "<start_of_turn>model\\n",
    "<end_of_turn>",
    "\\n",
)
_MISTRAL_1 = Marks(" [INST] ", " [/INST]", " ", "</s>")
_MISTRAL_3 = Marks("[INST] ", "[/INST]", " ", "</s>")
_TEXT = Marks(
    "### Instruction:\\n",
    "\\n\\n",
    "### Response:\\n",
    "EOS",
    "\\n\\n",
    " ",
    "\\n\\n",
)

MARKS: dict[str, Marks] = {
    "alpaca": _TEXT,
    "chatml": _chatml(),
    "gemma": _GEMMA,
    "gemma3": _GEMMA,
    "llama3": _llama3(),
    "mistral_v1": _MISTRAL_1,
    "mistral_v2v3": _MISTRAL_3,
    "mistral_v3_tekken": Marks("[INST]", "[/INST]", "", "</s>"),
    "mistral_v7_tekken": Marks(
        "[INST]",
        "[/INST]",
        "",
        "</s>",
        "",
        "[SYSTEM_PROMPT]",
        "[/SYSTEM_PROMPT]",
    ),
}
"""By Axolotl's names. They write neither tools nor reasoning."""


def jinja_of(name: str, with_bos: bool) -> str | None:
    """The template in Jinja, in several lines; None if it is not among these.

    Args:
        name: Axolotl's name of the template.
        with_bos: Whether a conversation starts with the tokenizer's BOS token.
    """
    marks = MARKS.get(name)
    if marks is None:
        return None
    end = "eos_token" if marks.end == "EOS" else f"'{marks.end}'"
    bos = "{{ bos_token }}" if with_bos else ""
    lead = "{% set ns.lead = m['content'] + '\\n\\n' %}"
    before, after = marks.system.strip(" "), marks.after_system
    own = f"{{{{ '{before}' + m['content'] + '{after}' }}}}"
    system = own if marks.system else lead
    return "\n".join(
        (
            "{% set ns = namespace(lead='') %}" + bos,
            "{%- for m in messages %}",
            "{%- if m['role'] == 'system' %}" + system,
            "{%- elif m['role'] == 'user' %}"
            f"{{{{ '{marks.user}' + ns.lead + m['content'] + '{marks.after_user}' }}}}"
            "{% set ns.lead = '' %}",
            f"{{%- else %}}{{{{ '{marks.assistant}' }}}}",
            f"{{%- generation %}}{{{{ m['content'] + {end} }}}}{{% endgeneration %}}"
            f"{{{{ '{marks.after}' }}}}",
            "{%- endif %}",
            "{%- endfor %}",
            f"{{%- if add_generation_prompt %}}{{{{ '{marks.assistant}' }}}}"
            "{%- endif %}",
        )
    )
