"""The one exception tree.

Every error that a user can cause or meet derives from `MedimetaError` and from the built-in that fits, so that
``except FileNotFoundError`` works as anyone would expect. A message says what, where, expected and got, and the way
out. The command line prints the message alone and leaves with `exit_code`: 1 where something is wrong with the data
or the machine, 2 where the call itself was wrong.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import TypeVar

SHOWN = 20  # problems listed in a message; the rest are counted


class MedimetaError(Exception):
    """Base of all errors raised on purpose by this package."""

    exit_code = 1
    problems: tuple[str, ...] = ()  # all of them, where the message shows the first only

    def __str__(self) -> str:
        # KeyError would show the repr of the message.
        return str(self.args[0]) if self.args else ""


class UsageError(MedimetaError, ValueError):
    """The call itself was wrong: a bad flag, a bad combination, a value out of range."""

    exit_code = 2


class UnknownNameError(UsageError, KeyError):
    """A dataset, task, split or filter value that does not exist; names near it are offered."""


class MissingDependencyError(MedimetaError, ImportError):
    """An optional library is not installed."""

    exit_code = 2


class SampleIndexError(UsageError, IndexError):
    """A sample that a dataset does not have."""


class CardError(MedimetaError, ValueError):
    """One or more cards are not valid; every problem is listed with its file and field."""


class SourceError(MedimetaError, OSError):
    """An original download cannot be used."""


class SourceNotFoundError(SourceError, FileNotFoundError):
    """An original download, or a file that must be in it, is missing."""


class DamagedSourceError(SourceError):
    """An original download is truncated, corrupt, unsafe, or does not decode."""


class CountMismatchError(SourceError, ValueError):
    """An original download does not hold what the release was made of."""


class LabelError(SourceError, ValueError):
    """A label that the card does not know."""


class TableError(SourceError, ValueError):
    """A label table lacks columns, repeats keys, or does not fit the images."""


class SourceChangedError(SourceError):
    """An original changed while it was read."""


class StoreError(MedimetaError, OSError):
    """A built dataset cannot be read or written."""


class DatasetNotFoundError(StoreError, FileNotFoundError):
    """There is no such dataset under the root."""


class DatasetExistsError(StoreError, FileExistsError):
    """The dataset is already there and may not be overwritten."""

    exit_code = 2


class DatasetLockedError(StoreError, BlockingIOError):
    """Another process builds the same dataset under the same root."""


class RootNotWritableError(StoreError, PermissionError):
    """The root folder cannot be written."""


class DamagedStoreError(StoreError, ValueError):
    """A built dataset is not whole: verification found problems."""


class ChangedStoreError(StoreError):
    """The files of a dataset are no longer those that were opened."""


class DownloadError(MedimetaError, OSError):
    """The released data cannot be fetched, or what was fetched cannot be used."""


class UnreachableError(DownloadError, ConnectionError):
    """A server cannot be reached, does not answer as it should, or breaks off again and again."""


class NotPublishedError(DownloadError, FileNotFoundError):
    """The record, or the server, does not have what is asked for."""


class ListingError(DownloadError, ValueError):
    """A listing of published files does not read, or lacks what a download needs."""


class ChecksumError(DownloadError, ValueError):
    """A file that was fetched is not the one that was published: its size or checksum is another."""


class UnsafeArchiveError(DownloadError, ValueError):
    """An archive is damaged, or holds what no archive of the release holds: climbing names, links, far too much."""


class ReleaseMismatchError(DownloadError, ValueError):
    """An archive holds another dataset than the card describes, or one that is not whole."""


class EpisodeFileError(MedimetaError, OSError, ValueError):
    """A file of episodes does not read, or was made for other data."""


class EpisodeFileNotFoundError(EpisodeFileError, FileNotFoundError):
    """There is no such file of episodes."""


class WeightsError(MedimetaError, ValueError):
    """Pre-trained weights cannot be had, or do not fit the backbone."""


class DivergedError(MedimetaError, ArithmeticError):
    """The loss of a training is no longer a number."""


class OutOfMemoryError(MedimetaError, MemoryError):
    """A training does not fit into the memory of its device."""


class CheckpointError(MedimetaError, OSError):
    """A checkpoint cannot be written, does not read, or belongs to another training."""


class TrainingProcessError(MedimetaError, RuntimeError):
    """One of the processes that train together ended without having been told to."""


class ResultsLockedError(MedimetaError, BlockingIOError):
    """Another process runs cells into the same folder of results."""


class ResultsNotFoundError(MedimetaError, FileNotFoundError):
    """There are no results in the folder."""


class ModelError(MedimetaError, OSError, ValueError):
    """A saved model cannot be written, does not read, or does not fit its card."""


class ModelNotFoundError(ModelError, FileNotFoundError):
    """There is no such saved model."""


class PredictionsError(MedimetaError, OSError, ValueError):
    """A file of predictions does not read, or its predictions are of other samples."""


class PredictionsNotFoundError(PredictionsError, FileNotFoundError):
    """There is no such file of predictions."""


class MetricError(UsageError):
    """Labels and scores that cannot be evaluated together."""


def bullet_list(problems: Sequence[str], shown: int = SHOWN) -> str:
    """Render problems as an indented list, the first `shown` in full and the rest counted."""
    lines = [f"  - {problem}" for problem in problems[:shown]]
    if len(problems) > shown:
        lines.append(f"  ... and {len(problems) - shown} more")
    return "\n".join(lines)


Problem = TypeVar("Problem", bound=MedimetaError)


def problems_error(kind: type[Problem], headline: str, problems: Sequence[str], way_out: str = "") -> Problem:
    """Build the error for several problems: a headline, the first of them, and what to do.

    Examples
    --------
    >>> print(problems_error(TableError, "labels.csv: cannot be used.", ["line 2: no image"], "Fetch it again."))
    labels.csv: cannot be used.
      - line 2: no image
    Fetch it again.
    """
    error = kind("\n".join(part for part in (headline, bullet_list(problems), way_out) if part))
    error.problems = tuple(problems)
    return error


def unknown_name(kind: str, got: str, known: Iterable[str], *, hint: str = "") -> UnknownNameError:
    """Build the error for a name that is not known, offering the names near it.

    Examples
    --------
    >>> print(unknown_name("dataset", "oc", ["oct", "bus"]))
    unknown dataset 'oc'. Did you mean 'oct'?
    """
    names = sorted(set(known))
    folded = {name.casefold(): name for name in names}
    near = [folded[key] for key in difflib.get_close_matches(got.casefold(), folded, n=3, cutoff=0.5)]
    near += [name for name in names if got and got.casefold() in name.casefold() and name not in near][:3]
    message = f"unknown {kind} {got!r}."
    if near:
        message += " Did you mean " + " or ".join(repr(name) for name in near) + "?"
    elif len(names) <= SHOWN:
        message += " Known: " + ", ".join(names) + "."
    return UnknownNameError(f"{message} {hint}".rstrip())
