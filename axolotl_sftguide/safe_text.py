"""Makes text safe to show and record: without secrets and control characters."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from functools import lru_cache

MASK = "***"
"""The replacement for a secret."""

_SECRET_NAME = re.compile(
    r"(^|[_.])(secrets?|passwords?|passwd|credentials?|token)$|_pwd$"
    r"|(^|_)secret_|(^|[_.])(api|access|private|auth|license|secret|encryption)_?key(_id)?$"
)
_SPECIAL_TOKEN = re.compile(
    r"(^|_)(bos|eos|eot|eom|pad|unk|sep|cls|mask|bot|boi|eoi|image|audio|video)_token$"
)


@lru_cache(maxsize=8192)
def names_a_secret(key: str) -> bool:
    """Whether a key or a variable is called as secrets are; `eos_token` is none."""
    key = key.lower().replace("-", "_")
    return bool(_SECRET_NAME.search(key)) and not _SPECIAL_TOKEN.search(key)


_TOKENS = re.compile(
    r"""(?<![A-Za-z0-9])(?:
        hf_[A-Za-z0-9]{30,} | api_org_[A-Za-z0-9]{30,}             # Hugging Face
      | sk-(?=[\w-]{0,99}[A-Z0-9])[\w-]{20,}                      # OpenAI, Anthropic
      | gsk_[A-Za-z0-9]{20,}
      | (?:sk|rk)_(?:live|test)_[A-Za-z0-9]{16,} | r8_[A-Za-z0-9]{30,}
      | gh[pousr]_[A-Za-z0-9]{30,} | github_pat_\w{30,} | glpat-[\w-]{20,}
      | (?:AKIA|ASIA)[0-9A-Z]{16}(?![0-9A-Za-z])                   # AWS
      | AIza[\w-]{35} | ya29\.[\w-]{20,}                           # Google
      | xox[abeoprs]-[A-Za-z0-9-]{10,}                             # Slack
      | npm_[A-Za-z0-9]{36} | pypi-[\w-]{30,}
      | wandb_v1_\w{20,} | nvapi-[\w-]{20,} | dapi[0-9a-f]{32}
      | AGE-SECRET-KEY-1[0-9A-Z]{20,}
      | eyJ[\w-]{10,200}\.[\w-]{10,}(?:\.[\w-]*)?                # a JSON web token
    )""",
    re.VERBOSE,
)
"""Tokens whose form is public, wherever they are."""

_PRIVATE_KEY = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
    re.DOTALL,
)
_PASSWORD_IN_URL = re.compile(r"(\w://[^\s:/@'\"]*:)[^\s/'\"]+@")
_IN_QUERY = re.compile(
    r"([?&;#](?:[\w.-]{0,64}(?:token|secret|password|passwd|signature|credential|api_?key"
    r"|access_?key|auth)|sig|key)=)[^\s&#'\"<>]+",
    re.IGNORECASE,
)
_BEARER = re.compile(
    r"\b(Bearer|Basic|token)(\s{1,9})(?=[\w.~+/=-]{0,99}\d)[\w.~+/=-]{16,}",
    re.IGNORECASE,
)
_OPTION = re.compile(
    r"(token|password|passwd|secret|api-key|access-key)(\s{1,9})([^\s'\"-]\S*)",
    re.IGNORECASE,
)
_NAMED = re.compile(
    r"(token|secret|password|passwd|pwd|credentials?|key|key_id)"
    r"([\"']?\s{0,9}(?:=>|[=:])\s{0,9}[\"']?)([^\s\"',;&<>(){}\[\]]+)",
    re.IGNORECASE,
)
_NO_VALUE = re.compile(
    r"(?:none|null|true|false|yes|no|on|off|\*+|[-+.\d_e]+|\|)\.?", re.IGNORECASE
)
_FEWEST = 8
"""Characters of a variable's value; a shorter one may be any word."""


def masked(text: str) -> str:
    """The text with secrets replaced by `***`.

    Secrets are passwords and tokens in URLs, tokens whose form is public (of Hugging
    Face, OpenAI, GitHub, AWS, ...), private keys, what follows a name such as
    `api_key=` or `Bearer`, and the values of environment variables that are called as
    secrets are. A token of another form, with no name before it, is not recognised.
    """
    return masker()(text)


def masker() -> Callable[[str], str]:
    """`masked` for many texts, which looks into the environment once."""
    known = _of_environment()

    def mask(text: str) -> str:
        return (_cached if len(text) < _CACHED else _masked)(text, known)

    return mask


_CACHED = 1000
"""Characters; the same short texts are in the configs of many runs."""


def _masked(text: str, known: tuple[str, ...]) -> str:
    for value in known:
        text = text.replace(value, MASK)
    if len(text) < _FEWEST:
        return text
    if "PRIVATE KEY-----" in text:
        text = _PRIVATE_KEY.sub(MASK, text)
    text = _TOKENS.sub(MASK, text)
    if "://" in text:
        text = _PASSWORD_IN_URL.sub(rf"\1{MASK}@", text)
    if "=" in text or ":" in text:
        text = _IN_QUERY.sub(rf"\1{MASK}", text)
        text = _NAMED.sub(_masked_value, text)
    if "--" in text:
        text = _OPTION.sub(_masked_option, text)
    return _BEARER.sub(rf"\1\2{MASK}", text)


_cached = lru_cache(maxsize=8192)(_masked)


def _masked_value(found: re.Match[str]) -> str:
    end, between, value = found.groups()
    name = _before(found, _NAME_START) + end
    if not names_a_secret(name) or _NO_VALUE.fullmatch(value):
        return found.group()
    # `a token: the smallest part of a text` is prose.
    prose = name.lower().endswith("token") and between == ": "
    if prose and (len(value) < _FEWEST or value.isalpha()):
        return found.group()
    return f"{end}{between}{MASK}"


def _masked_option(found: re.Match[str]) -> str:
    end, between, _ = found.groups()
    is_option = _before(found, _OPTION_START)
    return f"{end}{between}{MASK}" if is_option else found.group()


_NAME_START = re.compile(r"[\w.-]+\Z")
_OPTION_START = re.compile(r"--[\w-]*\Z")


def _before(found: re.Match[str], start: re.Pattern[str]) -> str:
    """The start of a name whose end was found.

    A pattern for the whole name would try it at each character of a long text.
    """
    first = max(0, found.start() - 64)
    before = start.search(found.string, first, found.start())
    return before.group() if before else ""


def _of_environment() -> tuple[str, ...]:
    """The secrets in the environment, the longest first."""
    # The names first: to read the values of all variables takes most of the time.
    values = [os.environ.get(name, "") for name in os.environ if names_a_secret(name)]
    found = {
        value
        for value in values
        if len(value) >= _FEWEST
        and not _NO_VALUE.fullmatch(value)
        # As of GOOGLE_APPLICATION_CREDENTIALS: paths have to stay what they are.
        and not (os.path.isabs(value) and os.path.exists(value))
    }
    return tuple(sorted(found, key=len, reverse=True))


_UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


def printable(text: str) -> str:
    r"""The text with escapes, such as `\x1b`, for what a terminal must not get.

    These are control characters other than line feed and tab, characters that turn the
    direction of what follows, and halves of surrogate pairs, which no file can hold.
    """
    return _UNPRINTABLE.sub(
        lambda found: found.group().encode("unicode_escape").decode(), text
    )


def without_controls(text: str) -> str:
    """The text without what `printable` replaces."""
    return _UNPRINTABLE.sub("", text)


def shown(text: str) -> str:
    """The text as a terminal may show it: masked and printable."""
    return printable(masked(text))
