"""Predictions as npz: arrays by name, and nothing that can run.

``task`` and ``data`` say of what the file is. Each split has ``<split>_indices``, ``<split>_labels``,
``<split>_scores``, ``<split>_samples_sha256`` and, where patients are known, ``<split>_subjects``. A file of another
framework may leave out the prefix of its only split, and name its arrays as the columns of a CSV: ``index`` or
``filepath``, ``label``, ``subject``, and ``scores`` or an array for each label.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from medimeta.catalogue.schema import SPLITS, TaskCard
from medimeta.errors import PredictionsError, UsageError
from medimeta.learning.predictions.columns import FILEPATH, INDEX, LABEL, SCORES, SUBJECT, assemble
from medimeta.learning.predictions.predictions import Predictions

Arrays = Mapping[str, npt.NDArray[Any]]

MAX_BYTES = 2**31  # unpacked: 112,120 images with 45 scores take 40 MB
_DIGEST = "samples_sha256"
_COLUMNS = {"indices": INDEX, "filepaths": FILEPATH, "labels": LABEL, "subjects": SUBJECT, "scores": SCORES}


def as_arrays(predictions: Mapping[str, Predictions]) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays of an npz file.

    Raises
    ------
    UsageError
        The splits are not of one task and one dataset.
    """
    if len({(each.task, each.data) for each in predictions.values()}) != 1:
        raise UsageError("predictions of a file are of one task and one dataset, and of at least one split.")
    first = next(iter(predictions.values()))
    arrays: dict[str, npt.NDArray[Any]] = {"task": np.array(first.task)}
    if first.data is not None:
        arrays["data"] = np.array(first.data)
    for split, each in predictions.items():
        parts = {"indices": each.samples, "labels": each.labels, "scores": each.scores, "subjects": each.subjects}
        arrays |= {f"{split}_{name}": values for name, values in parts.items() if values is not None}
        if each.samples_sha256 is not None:
            arrays[f"{split}_{_DIGEST}"] = np.array(each.samples_sha256)
    return arrays


def npz_bytes(predictions: Mapping[str, Predictions]) -> bytes:
    """Return the file: the same bytes for the same predictions."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **as_arrays(predictions))  # type: ignore[arg-type]
    return buffer.getvalue()


def check_size(file: BinaryIO) -> None:
    """Refuse a zip that unpacks to more than predictions can take, before anything is unpacked.

    Raises
    ------
    PredictionsError
        It is too large.
    """
    if zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as archive:
            size = sum(member.file_size for member in archive.infolist())
        if size > MAX_BYTES:
            raise PredictionsError(
                f"{file.name}: unpacks to {size:,} bytes, and predictions may have {MAX_BYTES:,}. Is it the right file?"
            )
    file.seek(0)


def read_arrays(path: Path) -> dict[str, npt.NDArray[Any]]:
    """Read all arrays of an npz file; nothing is unpickled.

    Raises
    ------
    PredictionsError
        It is no npz file, is damaged, or holds something other than arrays.
    """
    problem = "is no npz file: write it with numpy.savez(path, index=..., label=..., scores=...)"
    try:
        with path.open("rb") as file:
            check_size(file)
            loaded = np.load(file, allow_pickle=False)
            if not isinstance(loaded, np.lib.npyio.NpzFile):
                raise PredictionsError(f"{path}: {problem}.")
            problem = "is damaged"
            with loaded:
                found = {name: loaded[name] for name in loaded.files}
    except MemoryError as error:
        raise PredictionsError(f"{path}: holds more than fits in memory ({error}).") from None
    except (OSError, ValueError, EOFError, KeyError, SyntaxError, zipfile.BadZipFile, zlib.error) as error:
        if isinstance(error, PredictionsError):
            raise
        if "Object arrays" in str(error):
            problem = "holds Python objects, which are never read; save numbers and strings alone"
        elif isinstance(error, OSError) and error.strerror:
            problem = f"does not read ({error.strerror})"
        raise PredictionsError(f"{path}: {problem}.") from None
    strange = [name for name, values in found.items() if not isinstance(values, np.ndarray)]
    if strange:
        raise PredictionsError(f"{path}: holds {', '.join(map(repr, strange))}, which are no arrays.")
    return found


def told(arrays: Arrays, name: str) -> str | None:
    """Return a text that the file tells of itself."""
    value = arrays.get(name)
    return str(value) if value is not None and value.ndim == 0 and value.dtype.kind == "U" else None


def from_arrays(
    arrays: Arrays, card: TaskCard, split: str, problems: list[str], *, one_vs_rest: bool
) -> dict[str, Predictions]:
    """Make predictions of arrays; what is wrong is added to `problems`.

    Parameters
    ----------
    arrays : mapping of str to ndarray
        As read.
    card : TaskCard
        The task.
    split : str
        Of arrays whose name does not say it.
    problems : list of str
        Problems so far.
    one_vs_rest : bool
        As of `medimeta.evaluate`.
    """
    parts: dict[str, dict[str, npt.NDArray[Any]]] = {}
    for name, values in arrays.items():
        if name in ("task", "data"):
            continue
        prefix, _, rest = name.partition("_")
        if prefix not in SPLITS or rest not in (*_COLUMNS, _DIGEST):
            prefix, rest = split, name
        parts.setdefault(prefix, {})[_COLUMNS.get(rest, rest)] = values
    found = {}
    for part, columns in parts.items():
        digest = columns.pop(_DIGEST, None)
        own: list[str] = []
        scalars = [name for name, values in columns.items() if values.ndim == 0]
        own += [f"{name!r} must be an array with one row a sample, got a single value" for name in scalars]
        if not scalars:
            data = told(arrays, "data")
            made = assemble(card, part, data, columns, "row {}".format, own, one_vs_rest=one_vs_rest)
            if made is not None and digest is not None and made.samples_sha256 != str(digest):
                own.append("the samples are not those that the fingerprint in the file is of: it was changed by hand")
            elif made is not None:
                found[part] = made
        problems += [f"{part}: {problem}" for problem in own]
    if not parts:
        problems.append("there are no arrays")
    return found
