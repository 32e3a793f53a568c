"""``info.yaml``: what a stored dataset says of itself, in release 1.0's keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from medimeta.catalogue.schema import DatasetCard, TaskCard, normalised
from medimeta.errors import DamagedStoreError, unknown_name
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
    """

    id: str
    name: str
    domain: str
    channels: int
    size: int
    tasks: tuple[TaskCard, ...]
    raw: Mapping[str, Any]

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
        "license": card.released_licence,
        "sources": [
            {"name": source.name, "title": source.title, "url": source.url, "license": source.licence}
            for source in card.sources
        ],
    }
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
        raw = yaml.safe_load(data.decode("utf-8-sig"))
    except FileNotFoundError:
        raise DamagedStoreError(f"{path}: is missing, so {folder} is no stored dataset. Build it again.") from None
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
    return DatasetInfo(
        id=str(raw["id"]),
        name=str(raw["name"]),
        domain=str(raw["domain"]),
        channels=shape[0],
        size=shape[1],
        tasks=_tasks(path, raw),
        raw=raw,
    )


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
