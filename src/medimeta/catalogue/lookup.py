"""The catalogue's public functions: the packaged cards, looked up and filtered."""

from __future__ import annotations

from medimeta.catalogue.catalogue import default_catalogue
from medimeta.catalogue.schema import DatasetCard, TaskCard, TaskTarget


def datasets(
    domain: str | None = None,
    target: TaskTarget | str | None = None,
    commercial: bool | None = None,
    *,
    licence: str | None = None,
    min_samples: int | None = None,
    max_samples: int | None = None,
    overlaps: str | None = None,
) -> tuple[DatasetCard, ...]:
    """Return the datasets that meet every condition given; all 19 without one.

    Parameters
    ----------
    domain : str, optional
        Imaging domain, such as ``"Retinal fundus"``.
    target : TaskTarget or str, optional
        Datasets that have a task of this kind: multi-class, binary, multi-label or ordinal.
    commercial : bool, optional
        Whether the strictest licence of release and sources allows commercial use.
    licence : str, optional
        Id of a licence that binds a dataset's users, such as ``"CC-BY-4.0"``.
    min_samples, max_samples : int, optional
        Bounds of the number of images, inclusive.
    overlaps : str, optional
        A dataset; those whose domain or subjects overlap with it.

    Raises
    ------
    UnknownNameError
        A domain, target, licence or dataset that does not exist.

    Examples
    --------
    >>> [card.id for card in datasets(domain="Retinal fundus", target="ordinal")]
    ['dr_regular', 'dr_uwf']
    """
    return default_catalogue().datasets(
        domain,
        target,
        commercial,
        licence=licence,
        min_samples=min_samples,
        max_samples=max_samples,
        overlaps=overlaps,
    )


def tasks(
    domain: str | None = None, target: TaskTarget | str | None = None, dataset: str | None = None
) -> tuple[TaskCard, ...]:
    """Return the tasks of a domain, of a kind, or of a dataset; all 54 without a condition.

    Raises
    ------
    UnknownNameError
        A domain, target or dataset that does not exist.

    Examples
    --------
    >>> [task.name for task in tasks(dataset="bus")]
    ['case category', 'malignancy']
    """
    return default_catalogue().tasks(domain, target, dataset)
