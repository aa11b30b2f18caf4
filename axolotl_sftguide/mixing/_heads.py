"""What a file is, by its first bytes: once for the file, not once for each line."""

from __future__ import annotations

import gzip
import io
import re
from pathlib import Path
from typing import Any, Literal

import orjson

from ..errors import MixError

BLOCK_BYTES = 2**19
"""Bytes per read or write. Blocks that fit into the CPU cache halve the time."""

_HEAD_BYTES = 2**16
_BOM = b"\xef\xbb\xbf"
_TURN_COLUMNS = ("messages", "conversations", "conversation", "instances")

Layout = Literal["json", "array", "values"]
"""How rows lie in a JSON file: one a line, in an array, or as objects over lines."""

_OTHER_KINDS = (
    (b"version https://git-lfs", "a Git LFS pointer; fetch the data with git lfs pull"),
    (b"PK\x03\x04", "a ZIP archive; unpack it"),
    (b"PAR1", "a Parquet file; set ds_type: parquet"),
    (b"ARROW1", "an Arrow file; set ds_type: arrow"),
    (b"\xff\xfe", "UTF-16 text; convert it with iconv -f UTF-16 -t UTF-8"),
    (b"\xfe\xff", "UTF-16 text; convert it with iconv -f UTF-16 -t UTF-8"),
    (b"BZh", "a bzip2 file; unpack it, or pack it with gzip or zstd"),
    (b"\xfd7zXZ", "an xz file; unpack it, or pack it with gzip or zstd"),
    (b"\x1f\x8b", "gzip inside of gzip; unpack it once"),
    (b"/annex/objects/", "a pointer of git-annex; fetch the data with git annex get"),
)


def packed(path: Path | str) -> str | None:
    """The compression of a file, `gzip` or `zstd`, whatever its name."""
    with open(path, "rb") as file:
        magic = file.read(4)
    if magic[:2] == b"\x1f\x8b":
        return "gzip"
    return "zstd" if magic == b"\x28\xb5\x2f\xfd" else None


def opened(path: Path | str) -> Any:
    """A file for reading, unpacked."""
    kind = packed(path)
    if kind == "gzip":
        return gzip.open(path, "rb")
    if kind == "zstd":
        return io.BufferedReader(_ZstdFile(path), BLOCK_BYTES)
    return open(path, "rb", buffering=BLOCK_BYTES)


class _ZstdFile(io.RawIOBase):
    """A zstd file, whose library takes a file that breaks off for its end."""

    def __init__(self, path: Path | str) -> None:
        self._file = open(path, "rb")  # noqa: SIM115  closed with this one
        self._left = b""
        self._frame: Any = None

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        self._file.close()
        super().close()

    def readinto(self, buffer: Any) -> int:
        while not self._left:
            packed = self._unused() or self._file.read(BLOCK_BYTES // 4)
            if not packed:
                if self._frame is not None and not self._frame.eof:
                    raise EOFError("it ends before the end of its zstd frame")
                return 0
            if self._frame is None or self._frame.eof:
                import zstandard

                self._frame = zstandard.ZstdDecompressor().decompressobj()
            self._left = self._frame.decompress(packed)
        size = min(len(buffer), len(self._left))
        buffer[:size] = self._left[:size]
        self._left = self._left[size:]
        return size

    def _unused(self) -> bytes:
        """The bytes after the end of a frame, which start the next one."""
        return self._frame.unused_data if self._frame and self._frame.eof else b""


def layout(path: Path, label: str) -> Layout:
    """How the rows lie in a JSON file.

    Raises:
        MixError: If it is another kind of file, in one line.
    """
    head = read_head(path, label)
    text = head.removeprefix(_BOM).lstrip()
    if not text:
        return "json"
    line, more = _first_line(text)
    if text[:1] == b"[":
        # Lines that are lists, each with the messages of a conversation.
        return "json" if more and _parses(line) else "array"
    if text[:1] == b"{" and not _parses(line):
        if line.rstrip()[-1:] in b"{[," and more:
            _refuse_object(text, label)
            return "values"
        if not more and len(head) < _HEAD_BYTES and b"\r" in text.strip():
            raise MixError(f"{label}: its lines end in CR alone; write LF")
    return "json"


def read_head(path: Path, label: str) -> bytes:
    """The first bytes of a text file, unpacked.

    Raises:
        MixError: If it is another kind of file, in one line.
    """
    try:
        with opened(path) as file:
            head = bytes(file.read(_HEAD_BYTES))
    except (EOFError, ValueError, OSError) as error:
        if isinstance(error, OSError) and error.errno:
            raise
        return b""  # a damaged file, which the reader reports
    except Exception:  # zstandard has its own class
        return b""
    _refuse_other_kinds(head, label)
    if head[:64].count(b"\0") > 16 and b"{" in head[:64]:
        raise MixError(
            f"{label}: this is UTF-16 text; convert it with iconv -f UTF-16 -t UTF-8"
        )
    return head


def refuse_no_table(path: Path, label: str, magic: bytes) -> None:
    """Refuse a file that is named as a table but is a pointer, a page or packed.

    Args:
        path: The file.
        label: Its name in the error.
        magic: The first bytes of the kind that its name says.

    Raises:
        MixError: In one line, if another kind is known by its first bytes.
    """
    kind = packed(path)
    if kind is not None:
        raise MixError(f"{label}: this is packed with {kind}; unpack it")
    with open(path, "rb") as file:
        head = file.read(_HEAD_BYTES)
    if not head.startswith(magic):
        _refuse_other_kinds(head, label)


def _refuse_other_kinds(head: bytes, label: str) -> None:
    text = head.removeprefix(_BOM)
    for magic, what in _OTHER_KINDS:
        if text.startswith(magic):
            raise MixError(f"{label}: this is {what}")
    if re.match(rb"\s*<(!doctype|html|\?xml|head|body)", text, re.IGNORECASE):
        raise MixError(
            f"{label}: this is an HTML or XML page, perhaps of a failed download"
        )


def _first_line(text: bytes) -> tuple[bytes, bool]:
    """The first line, and whether another one with content follows."""
    line, _, rest = text.partition(b"\n")
    return line, bool(rest.strip())


def _parses(line: bytes) -> bool:
    try:
        orjson.loads(line)
    except orjson.JSONDecodeError:
        return b"NaN" in line or b"Infinity" in line or b"\\ud" in line.lower()
    return True


def _refuse_object(text: bytes, label: str) -> None:
    """Refuse one JSON object with the rows in one of its keys."""
    for match in re.finditer(rb'\n[ \t]*"([^"\\\n]+)"\s*:\s*(\[?)\s*(\{?)', text):
        name = match[1].decode(errors="replace")
        if name in _TURN_COLUMNS or name in ("role", "content", "from", "value"):
            return
        if match[2] and match[3]:
            raise MixError(
                f"{label}: this is one JSON object, and its key `{name}` holds a list "
                f"of rows; save that list, for example with jq '.{name}' {label}"
            )
        if not match[2] and match[3]:
            return
