"""A document of episodes as JSON or as Parquet: plain names and numbers either way, and nothing that can run."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

from medimeta._files import write_whole
from medimeta._optional import require
from medimeta.errors import EpisodeFileError, EpisodeFileNotFoundError, UsageError

Document = dict[str, Any]  # the header's fields, and "episodes": a list of dicts of COLUMNS

COLUMNS = ("classes", "support", "query")
MOST_BYTES = 256_000_000  # of a file, and of what is packed in it: a million episodes of the usual size
MOST_EPISODES = 1_000_000
KEY = b"medimeta"  # of the header among Parquet's metadata
SUFFIXES = (".json", ".parquet")


def checked_path(path: Path) -> Path:
    """Return the path of a file of episodes, whose name says its format.

    Raises
    ------
    UsageError
        The name ends otherwise.
    MissingDependencyError
        The file is Parquet and pyarrow is not installed.
    """
    if path.suffix not in SUFFIXES:
        raise UsageError(f"{path}: episodes are kept in files named {' or '.join('*' + name for name in SUFFIXES)}.")
    if path.suffix == ".parquet":
        require("pyarrow.parquet")
    return path


def write_document(path: Path, document: Document) -> None:
    """Write a document, whole or not at all.

    Raises
    ------
    UsageError
        It is larger than what would be read.
    EpisodeFileError
        The file cannot be written.
    """
    data = _parquet_bytes(document) if path.suffix == ".parquet" else _json_bytes(document)
    if len(data) > MOST_BYTES:
        raise UsageError(
            f"{path}: {len(data):,} bytes of episodes are too many for a file; save fewer than {MOST_BYTES:,}."
        )
    try:
        write_whole(path, data)
    except OSError as error:
        raise EpisodeFileError(f"{path}: cannot be written ({error.strerror}).") from None


def read_document(path: Path) -> Document:
    """Read a document; what it holds is not checked yet.

    Raises
    ------
    EpisodeFileNotFoundError, EpisodeFileError
        The file is not there, too large, or not of its format.
    """
    try:
        if path.stat().st_size > MOST_BYTES:
            raise EpisodeFileError(f"{path}: has {path.stat().st_size:,} bytes, more than the {MOST_BYTES:,} allowed.")
        return _read_parquet(path) if path.suffix == ".parquet" else _read_json(path)
    except FileNotFoundError:
        raise EpisodeFileNotFoundError(f"{path}: is not there.") from None
    except EpisodeFileError:
        raise
    except OSError as error:
        raise EpisodeFileError(f"{path}: does not read ({error.strerror or error}).") from None


def _json_bytes(document: Document) -> bytes:
    """Write an episode a line, so that people can read and compare them."""
    header = {name: value for name, value in document.items() if name != "episodes"}
    lines = ",\n".join(json.dumps(episode, ensure_ascii=False) for episode in document["episodes"])
    text = json.dumps({**header, "episodes": []}, ensure_ascii=False, indent=1)
    return (text.removesuffix("[]\n}") + f"[\n{lines}\n]\n}}\n").encode()


def _read_json(path: Path) -> Document:
    try:
        document = json.loads(path.read_bytes())
    except json.JSONDecodeError as error:
        raise EpisodeFileError(
            f"{path}: line {error.lineno}, column {error.colno}: is not JSON, or was cut off ({error.msg})."
        ) from None
    except RecursionError:
        raise EpisodeFileError(f"{path}: is nested too deeply for episodes.") from None
    except ValueError as error:  # no text, or a number of thousands of digits
        raise EpisodeFileError(f"{path}: is not JSON ({error}).") from None
    if not isinstance(document, dict):
        raise EpisodeFileError(f"{path}: holds no episodes, but a {type(document).__name__}.")
    return document


def _parquet_bytes(document: Document) -> bytes:
    arrow, parquet = require("pyarrow"), require("pyarrow.parquet")
    header = {name: value for name, value in document.items() if name != "episodes"}
    types = {"classes": arrow.string(), "support": arrow.int64(), "query": arrow.int64()}
    schema = arrow.schema(
        [(name, arrow.list_(types[name])) for name in COLUMNS],
        metadata={KEY: json.dumps(header, ensure_ascii=False).encode()},
    )
    columns = {name: [episode[name] for episode in document["episodes"]] for name in COLUMNS}
    data = io.BytesIO()
    parquet.write_table(arrow.table(columns, schema=schema), data)
    return data.getvalue()


def _read_parquet(path: Path) -> Document:
    arrow, parquet = require("pyarrow"), require("pyarrow.parquet")
    try:
        with parquet.ParquetFile(path) as file:
            facts = file.metadata
            packed = sum(facts.row_group(number).total_byte_size for number in range(facts.num_row_groups))
            if facts.num_rows > MOST_EPISODES or packed > MOST_BYTES:
                raise EpisodeFileError(
                    f"{path}: {facts.num_rows:,} rows of {packed:,} bytes, more than the {MOST_EPISODES:,} rows and "
                    f"{MOST_BYTES:,} bytes allowed."
                )
            if missing := [name for name in COLUMNS if name not in file.schema_arrow.names]:
                raise EpisodeFileError(f"{path}: has no column {' and no column '.join(missing)}.")
            header = json.loads((file.schema_arrow.metadata or {}).get(KEY, b"null"))
            rows = file.read(columns=list(COLUMNS)).to_pylist()
    except (arrow.ArrowException, ValueError, RecursionError) as error:
        if isinstance(error, EpisodeFileError):
            raise
        raise EpisodeFileError(f"{path}: is not Parquet, or was cut off ({error}).") from None
    if not isinstance(header, dict):
        raise EpisodeFileError(f"{path}: its metadata has no header under {KEY.decode()!r}.")
    return {**header, "episodes": rows}
