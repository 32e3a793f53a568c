"""Which tasks a model may be pre-trained on before it is tested on another. Needs the cards alone."""

from __future__ import annotations

import os
from collections.abc import Iterable

from medimeta.catalogue.catalogue import default_catalogue
from medimeta.catalogue.schema import DatasetCard, TaskCard, normalised
from medimeta.store.info import known_dataset, known_task


def pretraining_tasks(
    target: str, root: str | os.PathLike[str] | None = None, *, datasets: str | Iterable[str] | None = None
) -> tuple[TaskCard, ...]:
    """Return the tasks that share no domain and no subjects with a target.

    Left out are the target's dataset, every dataset of its domain, and every dataset that one of the two cards names as
    an overlap of domain or subjects. (Definition: the project's protocol, "Few-shot".)

    Parameters
    ----------
    target : str
        ``dataset/task``, or a dataset alone: of the catalogue, or of one's own data below the root.
    root : path, optional
        Where one's own data are; else ``$MEDIMETA_ROOT``, else ``./data``. Nothing need be built of the catalogue.
    datasets : str or iterable of str, optional
        Datasets to choose from, also one's own; all of the catalogue without it.

    Returns
    -------
    tuple of TaskCard
        In the order of the datasets. Empty where all of them overlap with the target.

    Raises
    ------
    UnknownNameError
        A dataset or task that does not exist; names near it are offered.
    DamagedStoreError
        The description of a dataset of one's own does not read.

    Examples
    --------
    >>> import medimeta as mm
    >>> allowed = pretraining_tasks("skinl_photo/Diagnosis")
    >>> len(mm.tasks()), len(allowed)
    (54, 30)
    >>> sorted({task.dataset for task in mm.tasks()} - {task.dataset for task in allowed})
    ['skinl_derm', 'skinl_photo']
    >>> [task.id for task in pretraining_tasks("cxr", datasets=["bus", "pneumonia", "oct"]) if task.primary]
    ['bus/case category', 'oct/disease class']
    """
    card = known_dataset(known_task(target, root).dataset, root)
    if datasets is None:
        cards = default_catalogue().datasets()
    else:
        names = [datasets] if isinstance(datasets, str) else datasets
        cards = tuple(dict.fromkeys(known_dataset(name, root) for name in names))
    return tuple(task for other in cards if not _overlap(card, other) for task in other.tasks)


def _overlap(card: DatasetCard, other: DatasetCard) -> bool:
    return (
        # Of the target itself, and of one's own data: cards of the catalogue name all others of their domain.
        normalised(card.domain) == normalised(other.domain)
        or other.id in (*card.domain_overlaps, *card.subject_overlaps)
        or card.id in (*other.domain_overlaps, *other.subject_overlaps)
    )
