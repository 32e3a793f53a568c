"""What a backbone is pre-trained on: pairs of a train and a val set, checked all at once."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from medimeta.catalogue.schema import TaskCard, TaskTarget, normalised
from medimeta.errors import UsageError, problems_error
from medimeta.learning.pretraining.config import PretrainConfig
from medimeta.loading.dataset import TaskDataset
from medimeta.loading.episodes import Episodes
from medimeta.store.reader import StoredDataset, resolve_task

Pair = tuple[TaskDataset, TaskDataset]
"""The train and the val set of one task; or, alone, of a dataset whose labels are dicts of all its tasks."""

WAY_OUT = "Leave these out, or build them as they should be."


@dataclass(frozen=True)
class Sources:
    """What a backbone is pre-trained on.

    Attributes
    ----------
    pairs : tuple of (TaskDataset, TaskDataset)
        Train and val sets: one pair for each task, or a single pair for all of them.
    tasks : tuple of TaskCard
        What is learned.
    """

    pairs: tuple[Pair, ...]
    tasks: tuple[TaskCard, ...]

    @property
    def shared(self) -> bool:
        """Whether all tasks are learned from the same images, which are read once for all of them."""
        return len(self.pairs) == 1

    @property
    def size(self) -> int:
        """Side of the images."""
        return self.pairs[0][0].stored.info.size

    @property
    def stored(self) -> dict[str, StoredDataset]:
        """The datasets, by their ids."""
        return {train_set.stored.info.id: train_set.stored for train_set, _ in self.pairs}

    def pair(self, task: TaskCard) -> Pair:
        """Return the train and the val set that have the labels of a task."""
        return next(pair for pair in self.pairs if task in pair[0].tasks)


def sources_of(pairs: Sequence[Pair], tasks: Sequence[TaskCard] | None = None) -> Sources:
    """Return sources: all tasks of the pairs, or those given."""
    every = tuple(task for train_set, _ in pairs for task in train_set.tasks)
    return Sources(tuple(pairs), every if tasks is None else tuple(tasks))


def find_sources(names: Sequence[str], root: str | os.PathLike[str] | None, config: PretrainConfig) -> Sources:
    """Load what names say.

    Where multi-task training gets several tasks of one dataset and nothing else, each image is read once for all of
    them. Otherwise each task is a pair of its own.

    Parameters
    ----------
    names : sequence of str
        ``dataset/task``, or a dataset for all of its tasks.
    root : path, optional
        Root folder; else ``$MEDIMETA_ROOT``, else ``./data``.
    config : PretrainConfig
        Its method decides.

    Raises
    ------
    UnknownNameError, DatasetNotFoundError, DamagedStoreError
        See `medimeta.load`.
    """
    found: dict[TaskCard, StoredDataset] = {}
    for name in names:
        stored, task = resolve_task(name, root)
        found |= dict.fromkeys(stored.info.tasks if task is None else (task,), stored)
    several = {stored.folder: stored for stored in found.values()}
    if config.method == "multi-task" and len(several) == 1 and len(found) > 1:
        (stored,) = several.values()
        return Sources(((TaskDataset(stored, None, "train"), TaskDataset(stored, None, "val")),), tuple(found))
    pairs = [(TaskDataset(stored, task, "train"), TaskDataset(stored, task, "val")) for task, stored in found.items()]
    return sources_of(pairs)


def check_sources(sources: Sources, config: PretrainConfig) -> None:
    """Find everything that makes sources unfit for pre-training.

    Raises
    ------
    UsageError
        There is nothing; the sets of a pair are of different tasks, have no samples, or a transform; image sizes
        differ; a task comes twice, or has one class in train; there are no episodes of it; the settings name a task
        that is not there.
    """
    if not sources.pairs or not sources.tasks:
        raise UsageError("there is nothing to pre-train on: give at least one pair of a train and a val set.")
    problems = [
        problem
        for pair in sources.pairs
        for problem in pair_problems(pair, [task for task in sources.tasks if task in pair[0].tasks], config)
    ]
    problems += _size_problems(sources.pairs)
    ids = Counter(task.id for task in sources.tasks)
    problems += [f"{name}: is there more than once" for name, count in ids.items() if count > 1]
    if not sources.shared or config.method == "maml":
        problems += [
            f"{train_set.stored.info.id}: was loaded without a task; load each task, as 'dataset/task'"
            for train_set, _ in sources.pairs
            if train_set.task is None
        ]
    known = {normalised(name) for name in ids}
    problems += [
        f"task_weights: there is no task {name!r} among these"
        for name in config.task_weights
        if normalised(name) not in known
    ]
    if config.steps_per_epoch is not None and sources.shared and config.method == "multi-task":
        problems.append("steps_per_epoch: is for tasks of several pairs; one dataset is gone through each epoch")
    if problems:
        raise problems_error(UsageError, "these cannot be pre-trained on:", problems, WAY_OUT)


def pair_problems(pair: Pair, tasks: Sequence[TaskCard], config: PretrainConfig) -> list[str]:
    """Say what makes a pair unfit by itself."""
    train_set, val_set = pair
    name = train_set.stored.info.id if train_set.task is None else train_set.task.id
    if train_set.tasks != val_set.tasks:
        return [f"{name}: the val set is of {', '.join(task.id for task in val_set.tasks)}, which is something else"]
    problems = [
        f"{name}: the {split} set {problem}"
        for split, part in (("train", train_set), ("val", val_set))
        for problem in (
            *([] if len(part) else ["has no samples"]),
            *([] if part.transform is None and not part.pil else ["has a transform, which whole batches do not run"]),
        )
    ]
    if problems:
        return problems
    problems = [
        f"{task.id}: has one class in train, so there is nothing to tell apart"
        for task in tasks
        if not _tells_apart(train_set, task)
    ]
    if not problems and config.method == "maml" and train_set.task is not None:
        try:
            train_episodes(train_set, config)
        except UsageError as error:
            problems.append(f"there are no episodes of {str(error).rstrip('.')}")
    return problems


def train_episodes(train_set: TaskDataset, config: PretrainConfig) -> Episodes:
    """Return the episodes that a task is meta-trained on; classes with too few images are left out."""
    enough = config.most_shots + config.queries
    return Episodes(train_set, config.shots, config.queries, None, config.episodes, config.seed, min_samples=enough)


def val_episodes(val_set: TaskDataset, config: PretrainConfig) -> Episodes | None:
    """Return the episodes that a task is validated on, or None where its val set is too small for any.

    They have as many shots and queries as training has at most, or half of them, and so on, until they can be drawn:
    an easier question is better than none, as the same one is asked after every epoch.
    """
    shots, queries = config.most_shots, config.queries
    while True:
        try:
            return Episodes(
                val_set,
                shots,
                queries,
                None,
                config.validation_episodes,
                config.seed,
                min_samples=shots + queries,
            )
        except UsageError:
            if shots == queries == 1:
                return None
            shots, queries = max(1, shots // 2), max(1, queries // 2)


def _tells_apart(dataset: TaskDataset, task: TaskCard) -> bool:
    counts = dataset.class_counts(task).values()
    if task.target is TaskTarget.MULTILABEL:
        return any(min(count) > 0 for count in counts)
    return sum(count.positive > 0 for count in counts) > 1


def _size_problems(pairs: Sequence[Pair]) -> list[str]:
    sizes: dict[int, list[str]] = {}
    for pair in pairs:
        for part in pair:
            info = part.stored.info
            sizes.setdefault(info.size, []).append(info.id)
    if len(sizes) < 2:
        return []
    found = [f"{size} x {size} pixels: {', '.join(dict.fromkeys(names))}" for size, names in sorted(sizes.items())]
    return [f"images are of different sizes; build them at one: {'; '.join(found)}"]
