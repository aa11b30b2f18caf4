"""Files as rows: found, divided into pieces that workers read, and read."""

from __future__ import annotations

import glob
import gzip
import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import orjson

from ..config.mix_settings import SourceSettings
from ..errors import MixError, did_you_mean
from ._rows import MOST_BYTES, RowFault

PIECE_BYTES = 16 * 2**20
"""Of a file of lines, about as much as a worker is given at once."""

BLOCK_BYTES = 2**19
"""Read or written at once: what stays in the processor's cache costs half."""

_ARROW_ROWS = 16 * 1024

_KINDS = {
    ".jsonl": "json",
    ".ndjson": "json",
    ".json": "json",
    ".parquet": "parquet",
    ".arrow": "arrow",
    ".csv": "csv",
}
_PACKED = (".gz", ".zst")


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of one file that one worker reads."""

    source: int
    """Which of the mix's sources."""
    path: str
    kind: str
    start: int
    """First byte of a file of lines, row group of a Parquet, row of an Arrow file."""
    end: int
    """After its last; 0 is to the end."""
    first_row: int
    """The number of its first row (in a file of lines: of its line), from 1."""


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file to read, whole or in part."""

    path: Path
    kind: str | None = None
    """Where it is not for the name to say."""
    label: str | None = None
    """What its rows tell as their source; by default its name."""
    start: int = 0
    end: int = 0
    """Rows of an Arrow file; 0 is all."""
    first_row: int = 1
    """The number of its first row."""


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file of a source, and what it held when it was looked at."""

    path: str
    size_bytes: int
    sha256: str


def files_at(settings: SourceSettings, path: Path) -> list[Path]:
    """The files of a source that lies on this machine, in a stable order.

    Raises:
        MixError: Where there is none, or one lies outside of its folder.
    """
    if settings.data_files is not None:
        return _inside(path, settings.data_files)
    if path.is_file():
        return [path]
    if path.is_dir():
        found = sorted(p for p in path.rglob("*") if p.is_file() and kind_of(p))
        if found:
            return found
        raise MixError(f"{path}: holds no file of rows ({', '.join(_KINDS)})")
    found = sorted(Path(p) for p in glob.glob(str(path), recursive=True))
    if found:
        return [p for p in found if p.is_file()]
    near = [p.name for p in path.parent.glob("*")] if path.parent.is_dir() else []
    raise MixError(f"{settings.path}: is not there{did_you_mean(path.name, near)}")


def look_at(
    file: FoundFile, source: int, ds_type: str | None
) -> tuple[SourceFile, list[Piece]]:
    """Read a file once: its checksum, and the pieces to share out.

    Raises:
        MixError: Where it cannot be read, or is of no known kind.
    """
    path = file.path
    kind = file.kind or {"jsonl": "json"}.get(ds_type or "", ds_type) or kind_of(path)
    if kind is None:
        raise MixError(
            f"{path}: is of no known kind ({', '.join(_KINDS)}, each also .gz or "
            ".zst); say which with ds_type"
        )
    try:
        lines = kind == "json" and path.suffix not in _PACKED and not _is_array(path)
        pieces, sha256 = _scan(path, source) if lines else ([], checksum(path))
        size = path.stat().st_size
    except OSError as error:
        raise MixError(f"{path}: cannot be read ({error.strerror})") from None
    if not lines:
        pieces = _pieces(file, kind, source) if size else []
    return SourceFile(str(path), size, sha256), pieces


def rows_of(piece: Piece) -> Iterator[tuple[int, dict[str, Any] | RowFault]]:
    """The rows of a piece with their numbers; a fault in the place of one it has.

    A file that cannot be read to its end has a fault with the number 0.
    """
    try:
        if piece.kind == "json":
            yield from _json_rows(piece)
        elif piece.kind == "csv":
            yield from _csv(piece.path)
        else:
            yield from _table(piece)
    except Exception as error:  # each kind of file breaks in ways of its own
        yield 0, RowFault("file-breaks-off", one_line(error))


def _json_rows(piece: Piece) -> Iterator[tuple[int, dict[str, Any] | RowFault]]:
    with _opened(piece.path) as file:
        if piece.end:
            file.seek(piece.start)
            yield from _lines(file, piece.first_row, piece.end - piece.start)
        elif _begins_array(file):
            yield from _array(file)
        else:
            yield from _lines(file, 1)


def _inside(folder: Path, names: str | list[str]) -> list[Path]:
    found: list[Path] = []
    root = folder.resolve()
    for name in [names] if isinstance(names, str) else names:
        matches = sorted(glob.glob(str(folder / name), recursive=True))
        if not matches:
            raise MixError(f"{folder / name}: is not there")
        for match in map(Path, matches):
            if not match.resolve().is_relative_to(root):
                raise MixError(f"{name}: leads out of {folder}; name the file itself")
            found.append(match)
    return found


def kind_of(path: Path) -> str | None:
    """The kind of a file by its name, packed or not; `json` is lines too."""
    suffixes = [s for s in path.suffixes if s not in _PACKED]
    return _KINDS.get(suffixes[-1]) if suffixes else None


def _is_array(path: Path) -> bool:
    with path.open("rb") as file:
        return _begins_array(file)


def _begins_array(file: IO[bytes]) -> bool:
    head: bytes = file.peek(4096)  # type: ignore[attr-defined]
    return head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"["


def _scan(path: Path, source: int) -> tuple[list[Piece], str]:
    """Pieces that end with a line, the number of their first lines, the checksum."""
    digest = hashlib.sha256()
    pieces: list[Piece] = []
    start, end, first, lines = 0, 0, 1, 0
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            if end - start >= PIECE_BYTES and not block.endswith(b"\n"):
                block += file.readline(BLOCK_BYTES)
            digest.update(block)
            end, lines = end + len(block), lines + block.count(b"\n")
            if end - start >= PIECE_BYTES and block.endswith(b"\n"):
                pieces.append(Piece(source, str(path), "json", start, end, first))
                start, first, lines = end, first + lines, 0
    if end > start:
        pieces.append(Piece(source, str(path), "json", start, end, first))
    return pieces, digest.hexdigest()


def checksum(path: Path) -> str:
    """The SHA-256 of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def _pieces(file: FoundFile, kind: str, source: int) -> list[Piece]:
    path = str(file.path)
    if kind == "parquet":
        return _row_groups(path, source)
    if kind == "arrow":
        end = file.end or arrow_rows(path)
        starts = range(file.start, end, _ARROW_ROWS)
        found = [
            Piece(source, path, kind, at, min(at + _ARROW_ROWS, end), number)
            for at in starts
            for number in [file.first_row + at - file.start]
        ]
        if found:
            return found
    return [Piece(source, path, kind, 0, 0, 1)]


def _row_groups(path: str, source: int) -> list[Piece]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        metadata = pq.ParquetFile(path).metadata
    except (pa.ArrowInvalid, OSError) as error:
        raise MixError(f"{path}: is no Parquet file ({one_line(error)})") from None
    pieces, first = [], 1
    for group in range(metadata.num_row_groups):
        pieces.append(Piece(source, path, "parquet", group, group + 1, first))
        first += metadata.row_group(group).num_rows
    return pieces


def arrow_rows(path: str) -> int:
    """The rows of an Arrow file; 0 where it cannot be read to its end."""
    import pyarrow as pa

    try:
        return sum(batch.num_rows for batch in _arrow_batches(path))
    except (pa.ArrowInvalid, OSError):
        return 0


def _opened(path: str) -> Any:
    if path.endswith(".gz"):
        return gzip.open(path, "rb")
    if path.endswith(".zst"):
        import zstandard

        packed = open(path, "rb")  # noqa: SIM115  closed with the reader
        reader = zstandard.ZstdDecompressor().stream_reader(
            packed, read_across_frames=True, closefd=True
        )
        return io.BufferedReader(reader)
    return open(path, "rb", buffering=BLOCK_BYTES)


def _lines(
    file: IO[bytes], first: int, size: int | None = None
) -> Iterator[tuple[int, dict[str, Any] | RowFault]]:
    """The rows of the next lines, up to a size; none is held that is too long."""
    number, left = first - 1, size
    while (left is None or left > 0) and (line := file.readline(MOST_BYTES + 1)):
        number += 1
        length = len(line)
        if length > MOST_BYTES:
            while not line.endswith(b"\n") and (line := file.readline(MOST_BYTES)):
                length += len(line)
            mib = length / 2**20
            yield (
                number,
                RowFault("too-long", f"{mib:.0f} MiB, at most {MOST_BYTES >> 20}"),
            )
        elif line.strip():
            yield number, _row(line.removeprefix(b"\xef\xbb\xbf"))
        if left is not None:
            left -= length


def _row(line: bytes) -> dict[str, Any] | RowFault:
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        return RowFault("not-json", one_line(error))
    return row if isinstance(row, dict) else _no_mapping(row)


def _array(file: IO[bytes]) -> Iterator[tuple[int, dict[str, Any] | RowFault]]:
    """Row after row: the whole of a large array is several times its file's size."""
    import ijson

    if file.peek(3).startswith(b"\xef\xbb\xbf"):  # type: ignore[attr-defined]
        file.read(3)
    for number, row in enumerate(ijson.items(file, "item", use_float=True), start=1):
        yield number, row if isinstance(row, dict) else _no_mapping(row)


def _csv(path: str) -> Iterator[tuple[int, dict[str, Any] | RowFault]]:
    import csv

    csv.field_size_limit(MOST_BYTES)
    with _opened(path) as file:
        text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
        for number, row in enumerate(csv.DictReader(text), start=1):
            if None in row or None in row.values():
                yield number, RowFault("fields-missing")
            else:
                yield number, dict(row)


def _table(piece: Piece) -> Iterator[tuple[int, dict[str, Any] | RowFault]]:
    import pyarrow.parquet as pq

    if piece.kind == "parquet":
        groups = range(piece.start, piece.end)
        batches = pq.ParquetFile(piece.path).iter_batches(1024, row_groups=groups)
    else:
        batches = _arrow_part(piece)
    number = piece.first_row
    for batch in batches:
        for row in batch.to_pylist():
            yield number, row
            number += 1


def _arrow_part(piece: Piece) -> Iterator[Any]:
    """A few rows at once: a batch of the file may hold all of them."""
    first = 0
    for batch in _arrow_batches(piece.path):
        end = min(piece.end or first + batch.num_rows, first + batch.num_rows)
        for start in range(max(piece.start, first), end, 1024):
            yield batch.slice(start - first, min(1024, end - start))
        first += batch.num_rows
        if piece.end and first >= piece.end:
            return


def _arrow_batches(path: str) -> Any:
    import pyarrow as pa

    source = pa.memory_map(path)
    try:
        reader = pa.ipc.open_stream(source)
    except pa.ArrowInvalid:
        reader = pa.ipc.open_file(source)
        return (reader.get_batch(i) for i in range(reader.num_record_batches))
    return iter(reader)


def _no_mapping(row: Any) -> RowFault:
    return RowFault("not-mapping", type(row).__name__)


def one_line(error: Exception) -> str:
    """The beginning of what an error says."""
    return str(error).partition("\n")[0][:120]
