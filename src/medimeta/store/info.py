"""``info.yaml``: what a stored dataset says of itself, in release 1.0's keys."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from medimeta.catalogue.catalogue import default_catalogue
from medimeta.catalogue.own import UNSPECIFIED, own_terms
from medimeta.catalogue.reading import SafeLoader
from medimeta.catalogue.schema import DatasetCard, Licence, Samples, TaskCard, as_name, normalised
from medimeta.errors import DamagedStoreError, UnknownNameError, unknown_name
from medimeta.store import layout

MAX_INFO_BYTES = 4_000_000


@dataclass(frozen=True)
class DatasetInfo:
    """The self-description of a stored dataset.

    Attributes
    ----------
    id, name, domain : str
        As on the card.
    channels : int
        1 for grey, 3 for colour.
    size : int
        Side of the images in pixels.
    tasks : tuple of TaskCard
        The tasks, the primary one first.
    raw : mapping
        Everything else that the file says.
    subject_column : str or None
        The column of ``annotations.csv`` that tells samples of one subject, where the file names it.
    """

    id: str
    name: str
    domain: str
    channels: int
    size: int
    tasks: tuple[TaskCard, ...]
    raw: Mapping[str, Any]
    subject_column: str | None = None

    @property
    def image_shape(self) -> tuple[int, ...]:
        """Stored shape of one image: ``(S, S)`` or ``(S, S, 3)``."""
        return (self.size, self.size) if self.channels == 1 else (self.size, self.size, self.channels)

    def task(self, name: str) -> TaskCard:
        """Return a task by name; spaces, ``_`` and ``-`` are the same and case is ignored.

        Raises
        ------
        UnknownNameError
            The dataset has no such task; names near it are offered.
        """
        for task in self.tasks:
            if normalised(task.name) == normalised(name):
                return task
        raise unknown_name(f"task of {self.id}", name, [task.name for task in self.tasks])

    def card(self) -> DatasetCard:
        """Return the card of a dataset that the catalogue does not have, as far as the file tells it.

        Raises
        ------
        DamagedStoreError
            The file does not say how many samples there are.
        """
        said = self.raw
        licence, terms = str(said.get("license") or UNSPECIFIED), said.get("license_terms")
        counts, original = (
            {"total": said.get("total_num_samples"), **_mapping(said.get(key))}
            for key in ("splits_num_samples", "original_splits_num_samples")
        )
        try:
            return DatasetCard(
                id=self.id,
                name=self.name,
                domain=self.domain,
                channels=self.channels,
                summary=str(said.get("description") or self.name),
                released_licence=licence,
                own_licence=Licence.model_validate(terms) if terms else own_terms(licence),
                samples=Samples.model_validate(counts),
                original_samples=Samples.model_validate(original),
                domain_overlaps=said.get("domain_overlaps") or (),
                subject_overlaps=said.get("subject_overlaps") or (),
                primary_task=self.tasks[0].name,
                tasks=self.tasks,
                recipe=said.get("recipe"),
                subject_column=self.subject_column,
                notes=said.get("notes") or (),
            )
        except ValidationError as error:
            problems = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors(include_url=False)]
            raise DamagedStoreError(f"{layout.INFO} of {self.id}: {'; '.join(problems)}.") from None


def info_text(card: DatasetCard, size: int, counts: Mapping[str, int], original_counts: Mapping[str, int]) -> str:
    """Return the text of ``info.yaml`` for a dataset built from a card."""
    raw = {
        "id": card.id,
        "name": card.name,
        "description": card.summary,
        "domain": card.domain,
        "input_size": [card.channels, size, size],
        "total_num_samples": sum(counts.values()),
        "splits_num_samples": dict(counts),
        "original_splits_num_samples": dict(original_counts),
        "primary_task": card.primary_task,
        "tasks": [
            {"task_name": task.name, "task_target": task.target.value, "labels": dict(task.labels)}
            for task in card.tasks
        ],
        "domain_overlaps": list(card.domain_overlaps),
        "subject_overlaps": list(card.subject_overlaps),
        **({} if card.subject_column is None else {"subject_column": card.subject_column}),
        "license": card.released_licence,
        "sources": [
            {"name": source.name, "title": source.title, "url": source.url, "license": source.licence}
            for source in card.sources
        ],
    }
    if not card.sources:  # own data: no catalogue holds the rest of its card
        raw |= {"recipe": card.recipe, "notes": list(card.notes)}
        raw |= {} if card.own_licence is None else {"license_terms": card.own_licence.model_dump()}
    return yaml.safe_dump(raw, sort_keys=False, allow_unicode=True, width=120)


def read_info(folder: Path) -> DatasetInfo:
    """Read ``info.yaml``, written by this package or by release 1.0's scripts.

    Raises
    ------
    DamagedStoreError
        The file is missing, is no YAML, or lacks what a reader needs; all such problems are named at once.
    """
    path = folder / layout.INFO
    try:
        with path.open("rb") as file:
            data = file.read(MAX_INFO_BYTES + 1)
        if len(data) > MAX_INFO_BYTES:
            raise DamagedStoreError(f"{path}: is larger than the {MAX_INFO_BYTES:,} bytes that it may have.")
        raw = yaml.load(data.decode("utf-8-sig"), Loader=SafeLoader)  # noqa: S506 - CSafeLoader is safe_load in C
    except FileNotFoundError:
        raise DamagedStoreError(
            f"{path}: is missing, so {folder} is no stored dataset. Build or download it again."
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise DamagedStoreError(f"{path}: is not valid YAML ({' '.join(str(error).split())}).") from None
    if not isinstance(raw, dict):
        raise DamagedStoreError(f"{path}: must be a mapping, got {type(raw).__name__}.")
    missing = [key for key in ("id", "name", "domain", "tasks", "input_size") if key not in raw]
    if missing:
        raise DamagedStoreError(f"{path}: lacks {', '.join(missing)}.")
    shape = raw["input_size"]
    if not (isinstance(shape, list) and len(shape) == 3 and shape[0] in (1, 3) and 0 < shape[1] == shape[2]):
        raise DamagedStoreError(f"{path}: input_size must be [channels, size, size], got {shape!r}.")
    subjects = raw.get("subject_column")
    if subjects is not None and not (isinstance(subjects, str) and subjects):
        raise DamagedStoreError(f"{path}: subject_column must name a column of {layout.ANNOTATIONS}, got {subjects!r}.")
    return DatasetInfo(
        id=str(raw["id"]),
        name=str(raw["name"]),
        domain=str(raw["domain"]),
        channels=shape[0],
        size=shape[1],
        tasks=_tasks(path, raw),
        raw=raw,
        subject_column=subjects,
    )


def known_dataset(name: str, root: str | os.PathLike[str] | None = None) -> DatasetCard:
    """Return the card of a dataset of the catalogue or, else, of one that lies below the root.

    Parameters
    ----------
    name : str
        Id; spaces, ``_`` and ``-`` are the same and case is ignored.
    root : path, optional
        Root folder; else ``$MEDIMETA_ROOT``, else ``./data``.

    Raises
    ------
    UnknownNameError
        Neither has such a dataset.
    DamagedStoreError
        It lies below the root, but its ``info.yaml`` does not read.
    """
    try:
        return default_catalogue().dataset(name)
    except UnknownNameError:
        place = layout.default_root(root)
        for folder in sorted(place.iterdir()) if place.is_dir() else ():
            if normalised(folder.name) == normalised(name) and (folder / layout.INFO).is_file():
                return read_info(folder).card()
        raise


def known_task(name: str, root: str | os.PathLike[str] | None = None) -> TaskCard:
    """Return the card of a task, named ``dataset/task``, or by its dataset alone for the primary task.

    Raises
    ------
    UnknownNameError, DamagedStoreError
        See `known_dataset`.
    """
    dataset, slash, task = as_name(name, "task").partition("/")
    card = known_dataset(dataset, root)
    if not slash:
        return card.primary
    for candidate in card.tasks:
        if normalised(candidate.name) == normalised(task):
            return candidate
    raise unknown_name(f"task of {card.id}", task, [candidate.name for candidate in card.tasks])


def _mapping(value: Any) -> Mapping[str, Any]:
    return {str(key): each for key, each in value.items()} if isinstance(value, Mapping) else {}


def _tasks(path: Path, raw: Mapping[str, Any]) -> tuple[TaskCard, ...]:
    entries = raw["tasks"] if isinstance(raw["tasks"], list) else []
    names = [entry.get("task_name") for entry in entries if isinstance(entry, dict)]
    primary = raw["primary_task"] if raw.get("primary_task") in names else next(iter(names), None)
    tasks, problems = [], []
    for index, entry in enumerate(entries):
        try:
            if not isinstance(entry, dict):
                raise TypeError(f"expected a mapping, got {entry!r}")
            labels = entry.get("labels")
            name = entry.get("task_name")
            tasks.append(
                TaskCard.model_validate(
                    {
                        "dataset": raw["id"],
                        "name": name,
                        "target": entry.get("task_target"),
                        "labels": {key: str(label) for key, label in labels.items()}
                        if isinstance(labels, dict)
                        else labels,
                        "primary": name == primary,
                    }
                )
            )
        except ValidationError as error:
            problems += [
                f"tasks.{index}.{'.'.join(map(str, detail['loc']))}: {detail['msg']}"
                for detail in error.errors(include_url=False)
            ]
        except TypeError as error:
            problems.append(f"tasks.{index}: {error}")
    if not entries:
        problems.append("tasks: must be a list of at least one task")
    if problems:
        raise DamagedStoreError(f"{path}: " + "; ".join(problems) + ".")
    return tuple(sorted(tasks, key=lambda task: not task.primary))
