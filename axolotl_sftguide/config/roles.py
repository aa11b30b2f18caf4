"""The roles of messages: those of chat templates, and their names in datasets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

ROLES = ("system", "user", "assistant", "tool")
"""The roles that chat templates know."""

ROLE_NAMES: Mapping[str, str] = {
    "human": "user",
    "prompter": "user",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "chatbot": "assistant",
    "bot": "assistant",
    "model": "assistant",
    "ai": "assistant",
    "function_call": "assistant",
    "tool_call": "assistant",
    "observation": "tool",
    "function": "tool",
    "function_response": "tool",
    "tool_response": "tool",
    "ipython": "tool",
}
"""The names of roles in datasets, with the role that each has in a chat template."""


def own_roles(roles: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """The setting `roles` by the roles in the rows."""
    return {name: wanted for wanted, names in roles.items() for name in names}


def chat_template_role(role: str, own: Mapping[str, str]) -> str:
    """The role that chat templates know, for a role of other data.

    Args:
        role: The role in the rows.
        own: The setting `roles` by the roles in the rows.
    """
    return own.get(role) or ROLE_NAMES.get(role, role)
