"""Episodes that are kept in a file, with digests of the data that they were drawn from."""

from __future__ import annotations

import operator
import os
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from medimeta._files import as_path
from medimeta.catalogue.schema import TaskCard, TaskTarget
from medimeta.errors import EpisodeFileError, UsageError, problems_error
from medimeta.loading.dataset import TaskDataset
from medimeta.loading.episode import Episode, episode_labels
from medimeta.loading.episode_codecs import COLUMNS, MOST_EPISODES, checked_path, read_document, write_document
from medimeta.loading.episode_data import DataFingerprint, fingerprint
from medimeta.loading.episode_subjects import subject_codes

Indices = npt.NDArray[np.int64]

FORMAT, VERSION = "medimeta episodes", 1
OTHER = {
    "labels": "other labels of the task",
    "samples": "another selection of samples: other splits, or a subset",
    "images": "other images",
}


class EpisodeSequence(Sequence[Episode]):
    """Episodes of one task, by number; they can be saved.

    Attributes
    ----------
    dataset : TaskDataset
        Where their samples are.
    task : TaskCard
        Of what task they are.
    """

    dataset: TaskDataset
    task: TaskCard

    @property
    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """What the episodes are drawn by, besides the dataset and the length."""

    @abstractmethod
    def _episode(self, number: int) -> Episode:
        """Return the episode of a number that is in range."""

    @overload
    def __getitem__(self, index: int) -> Episode: ...
    @overload
    def __getitem__(self, index: slice) -> list[Episode]: ...
    def __getitem__(self, index: int | slice) -> Episode | list[Episode]:
        if isinstance(index, slice):
            return [self._episode(number) for number in range(len(self))[index]]
        try:
            number = operator.index(index)
        except TypeError:
            raise UsageError(f"an episode's number must be a whole number or a slice, got {index!r}.") from None
        if not -len(self) <= number < len(self):
            raise IndexError(f"episode {number} is out of range; there are {len(self)}")
        return self._episode(number % len(self))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Save the episodes as indices into the stored dataset, for `load_episodes`, or for any other program.

        Parameters
        ----------
        path : path
            ``*.json``, or, where pyarrow is installed, ``*.parquet``. A file that is there is replaced.

        Raises
        ------
        UsageError
            The name ends otherwise, or the episodes are too many for a file.
        MissingDependencyError
            Parquet is asked for and pyarrow is not installed.
        EpisodeFileError
            The file cannot be written.

        Examples
        --------
        >>> import medimeta as mm
        >>> ds = mm.load("bus/malignancy", root=getfixture("bus_root"), split="train")
        >>> path = getfixture("tmp_path") / "episodes.json"
        >>> episodes = mm.Episodes(ds, shots=1, queries=2, length=3)
        >>> episodes.save(path)
        >>> (mm.load_episodes(path, ds)[2].support == episodes[2].support).all()
        np.True_
        """
        write_document(checked_path(as_path(path, "path")), self.document())

    def document(self) -> dict[str, Any]:
        """Return what `save` writes: plain names and numbers.

        Raises
        ------
        UsageError
            There are too many episodes for a file.
        """
        if len(self) > MOST_EPISODES:
            raise UsageError(f"{len(self):,} episodes are too many for a file; {MOST_EPISODES:,} can be saved.")
        return {
            "format": FORMAT,
            "version": VERSION,
            "task": self.task.id,
            "fingerprint": asdict(fingerprint(self.dataset, self.task)),
            "settings": self.settings,
            "episodes": [
                {
                    "classes": list(episode.classes),
                    "support": self.dataset.indices[episode.support].tolist(),
                    "query": self.dataset.indices[episode.query].tolist(),
                }
                for episode in self
            ],
        }


class SavedEpisodes(EpisodeSequence):
    """Episodes that were loaded from a file; see `load_episodes`."""

    def __init__(
        self, dataset: TaskDataset, task: TaskCard, settings: dict[str, Any], episodes: Sequence[Episode]
    ) -> None:
        self.dataset, self.task = dataset, task
        self._settings, self._episodes = settings, tuple(episodes)

    @property
    def settings(self) -> dict[str, Any]:
        """What the episodes were drawn by, as the file has it."""
        return self._settings

    def __len__(self) -> int:
        return len(self._episodes)

    def __repr__(self) -> str:
        return f"SavedEpisodes({self.task.id!r}, length={len(self)})"

    def _episode(self, number: int) -> Episode:
        return self._episodes[number]


def load_episodes(path: str | os.PathLike[str], dataset: TaskDataset) -> SavedEpisodes:
    """Load episodes that were saved, for the same samples, labels and images.

    Parameters
    ----------
    path : path
        What `Episodes.save` wrote, as JSON or Parquet.
    dataset : TaskDataset
        The dataset as it was when they were saved: the same task and the same splits.

    Returns
    -------
    SavedEpisodes
        A sequence of `Episode`.

    Raises
    ------
    EpisodeFileNotFoundError
        The file is not there.
    EpisodeFileError
        It is damaged, of a later version, or was made for other data; every problem is named with its place.
    UsageError
        The dataset has several tasks.
    MissingDependencyError
        It is Parquet and pyarrow is not installed.
    """
    file = checked_path(as_path(path, "path"))
    task = dataset.task
    if task is None:
        raise UsageError("episodes are of one task: load the dataset with one, as 'dataset/task'.")
    document = read_document(file)
    _check_header(file, document, dataset, task)
    reader = _Reader(dataset, task, document["settings"])
    episodes = reader.episodes(document["episodes"])
    if reader.problems:
        raise problems_error(EpisodeFileError, f"{file}: cannot be used.", reader.problems, "Save the episodes again.")
    return SavedEpisodes(dataset, task, document["settings"], episodes)


def _check_header(file: Path, document: dict[str, Any], dataset: TaskDataset, task: TaskCard) -> None:
    """Refuse what is no file of episodes, or one of other data."""
    if document.get("format") != FORMAT:
        raise EpisodeFileError(f"{file}: is no file of episodes; its format must be {FORMAT!r}.")
    version = document.get("version")
    if type(version) is not int or version != VERSION:
        newer = type(version) is int and version > VERSION
        raise EpisodeFileError(
            f"{file}: has version {_short(version)}, this version of medimeta reads {VERSION}."
            + (" Upgrade medimeta." if newer else "")
        )
    names = [field.name for field in fields(DataFingerprint)]
    prints = document.get("fingerprint")
    problems = [
        f"{name}: expected {words}, got {_short(document.get(name))}"
        for name, kind, words in (
            ("task", str, "text"),
            ("fingerprint", dict, "an object"),
            ("settings", dict, "an object"),
            ("episodes", list, "a list of episodes"),
        )
        if not isinstance(document.get(name), kind)
    ]
    if isinstance(prints, dict):
        problems += [
            f"fingerprint.{name}: expected text, got {_short(prints.get(name))}"
            for name in names
            if not isinstance(prints.get(name), str)
        ]
    if not problems and not 0 < len(document["episodes"]) <= MOST_EPISODES:
        problems.append(f"episodes: expected 1 to {MOST_EPISODES:,}, got {len(document['episodes']):,}")
    if problems or not isinstance(prints, dict):
        raise problems_error(EpisodeFileError, f"{file}: cannot be used.", problems, "Save the episodes again.")
    if document["task"] != task.id:
        raise EpisodeFileError(f"{file}: is of the task {_short(document['task'])}, but the dataset is of {task.id!r}.")
    differing = DataFingerprint(*(prints[name] for name in names)).differences(fingerprint(dataset, task))
    if differing:
        raise EpisodeFileError(
            f"{file}: was saved for other data than {dataset!r}: {'; '.join(OTHER[name] for name in differing)}. Load "
            f"the dataset that it was saved for, with the same splits, or draw and save new episodes."
        )


class _WrongError(Exception):
    """What is wrong with an episode of a file, and where."""


class _Reader:
    """Turns rows of a file into episodes, and collects what is wrong with them."""

    def __init__(self, dataset: TaskDataset, task: TaskCard, settings: dict[str, Any]) -> None:
        self.problems: list[str] = []
        self._dataset, self._task = dataset, task
        self._labels = dataset.labels
        self._places = np.full(len(dataset.stored), -1, dtype=np.int64)
        self._places[dataset.indices] = np.arange(len(dataset))
        self._subjects = subject_codes(dataset) if settings.get("disjoint_subjects") is True else None

    def episodes(self, rows: list[Any]) -> list[Episode]:
        """Return the episodes that nothing is wrong with."""
        found = []
        for number, row in enumerate(rows):
            try:
                found.append(self._episode(f"episodes[{number}]", row))
            except _WrongError as wrong:
                self.problems.append(str(wrong))
        return found

    def _episode(self, place: str, row: Any) -> Episode:
        if not isinstance(row, dict) or set(row) != set(COLUMNS):
            raise _WrongError(f"{place}: expected an object of {', '.join(COLUMNS)}, got {_short(row)}")
        classes = row["classes"]
        if not isinstance(classes, list) or not classes or not all(isinstance(name, str) for name in classes):
            raise _WrongError(f"{place}.classes: expected a list of names, got {_short(classes)}")
        if strange := [name for name in classes if name not in self._task.classes]:
            raise _WrongError(f"{place}.classes: {self._task.id} has no label {_short(strange[0])}")
        if len(set(classes)) < len(classes):
            raise _WrongError(f"{place}.classes: names a label twice")
        support, query = (self._samples(f"{place}.{name}", row[name], tuple(classes)) for name in ("support", "query"))
        if both := set(row["support"]) & set(row["query"]):
            raise _WrongError(f"{place}: sample {min(both)} is in the support and in the query set")
        if self._subjects is not None and np.isin(self._subjects[query], self._subjects[support]).any():
            raise _WrongError(f"{place}: a subject is in the support and in the query set")
        return Episode(self._dataset, support, query, tuple(classes))

    def _samples(self, place: str, samples: Any, classes: tuple[str, ...]) -> Indices:
        if not isinstance(samples, list) or not samples:
            raise _WrongError(f"{place}: expected a list of samples, got {_short(samples)}")
        if strange := [at for at, sample in enumerate(samples) if type(sample) is not int]:
            raise _WrongError(f"{place}[{strange[0]}]: expected a whole number, got {_short(samples[strange[0]])}")
        if outside := [at for at, sample in enumerate(samples) if not 0 <= sample < len(self._places)]:
            raise _WrongError(
                f"{place}[{outside[0]}]: sample {_short(samples[outside[0]])} is out of range; "
                f"there are {len(self._places):,}"
            )
        if len(set(samples)) < len(samples):
            raise _WrongError(f"{place}: names a sample twice")
        places: Indices = self._places[samples]
        if (places < 0).any():
            absent = int(np.argmax(places < 0))
            raise _WrongError(f"{place}[{absent}]: sample {samples[absent]} is not among those of the dataset")
        if self._task.target is not TaskTarget.MULTILABEL and isinstance(self._labels, np.ndarray):
            other = episode_labels(self._task, self._labels[places], classes) < 0
            if other.any():
                at = int(np.argmax(other))
                raise _WrongError(f"{place}[{at}]: sample {samples[at]} is of none of the episode's classes")
        return places


def _short(value: Any) -> str:
    """Show a value of a file, whatever it is, in few characters."""
    if isinstance(value, int) and value.bit_length() > 256:
        return "a number of hundreds of digits"
    if value is None:
        return "nothing"
    if isinstance(value, list | dict):
        value = list(value)[:5]
    text = repr(value[:60] if isinstance(value, str) else value)
    return text if len(text) <= 60 else text[:57] + "..."
