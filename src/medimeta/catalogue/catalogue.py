"""Look up and filter datasets and tasks.

The catalogue is read from the packaged cards on first use, never at import.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files

from medimeta.catalogue.reading import read_cards, read_licences
from medimeta.catalogue.schema import SPLITS, DatasetCard, Licence, TaskCard, TaskTarget, as_name, normalised
from medimeta.errors import UnknownNameError, unknown_name


class Catalogue:
    """An immutable set of dataset cards.

    Parameters
    ----------
    cards : iterable of DatasetCard
        The datasets, in the order in which they are listed.
    licences : mapping of str to Licence
        The licences that the cards name.
    """

    def __init__(self, cards: Iterable[DatasetCard], licences: Mapping[str, Licence]) -> None:
        self._cards = tuple(cards)
        self._licences = dict(licences)
        self._by_name = {normalised(card.id): card for card in self._cards}

    def dataset(self, name: str) -> DatasetCard:
        """Return the card of one dataset; spaces, ``_`` and ``-`` are the same and case is ignored.

        Raises
        ------
        UnknownNameError
            There is no such dataset; names near it are offered.
        """
        try:
            return self._by_name[normalised(name)]
        except KeyError:
            raise unknown_name("dataset", name, [card.id for card in self._cards]) from None

    def task(self, name: str) -> TaskCard:
        """Return the card of one task, named ``dataset/task``, or by its dataset alone for the primary task.

        Raises
        ------
        UnknownNameError
            There is no such dataset or task; names near it are offered.
        """
        dataset, slash, task = as_name(name, "task").partition("/")
        card = self.dataset(dataset)
        if not slash:
            return card.primary
        for candidate in card.tasks:
            if normalised(candidate.name) == normalised(task):
                return candidate
        raise unknown_name(f"task of {card.id}", task, [candidate.name for candidate in card.tasks])

    @property
    def licences(self) -> Mapping[str, Licence]:
        """The licences that cards may name, by id."""
        return self._licences

    def licence(self, name: str) -> Licence:
        """Return the terms of a licence by its id."""
        try:
            return self._licences[name]
        except KeyError:
            raise unknown_name("licence", name, self._licences) from None

    def licences_of(self, card: DatasetCard) -> tuple[Licence, ...]:
        """Return every licence that binds a user of the dataset: the released one, then those of the sources."""
        own = {} if card.own_licence is None else {card.own_licence.id: card.own_licence}
        names = [card.released_licence, *(source.licence for source in card.sources)]
        return tuple(own[name] if name in own else self.licence(name) for name in dict.fromkeys(names))

    def commercial(self, card: DatasetCard) -> bool:
        """Whether commercial use is allowed: the strictest of the released licence and every source's."""
        return all(licence.commercial for licence in self.licences_of(card))

    def datasets(
        self,
        domain: str | None = None,
        target: TaskTarget | str | None = None,
        commercial: bool | None = None,
        *,
        licence: str | None = None,
        min_samples: int | None = None,
        max_samples: int | None = None,
        overlaps: str | None = None,
    ) -> tuple[DatasetCard, ...]:
        """Return the datasets that meet every condition given.

        Parameters
        ----------
        domain : str, optional
            Imaging domain, such as ``"Retinal fundus"``.
        target : TaskTarget or str, optional
            Datasets that have a task of this kind, such as ``"ordinal"``.
        commercial : bool, optional
            Whether the strictest licence of release and sources allows commercial use.
        licence : str, optional
            Id of a licence that binds its users, such as ``"CC-BY-4.0"``.
        min_samples, max_samples : int, optional
            Bounds of the number of images, inclusive.
        overlaps : str, optional
            A dataset; those whose domain or subjects overlap with it, by either card.

        Raises
        ------
        UnknownNameError
            A domain, target, licence or dataset that does not exist.
        """
        domain = domain if domain is None else self._domain(domain)
        kind = target if target is None else parse_target(target)
        terms = licence if licence is None else self._licence_id(licence)
        near = None if overlaps is None else self.overlapping(overlaps)
        return tuple(
            card
            for card in self._cards
            if (domain is None or card.domain == domain)
            and (kind is None or any(task.target is kind for task in card.tasks))
            and (commercial is None or self.commercial(card) is commercial)
            and (terms is None or any(found.id == terms for found in self.licences_of(card)))
            and (min_samples is None or card.samples.total >= min_samples)
            and (max_samples is None or card.samples.total <= max_samples)
            and (near is None or card.id in near)
        )

    def tasks(
        self, domain: str | None = None, target: TaskTarget | str | None = None, dataset: str | None = None
    ) -> tuple[TaskCard, ...]:
        """Return the tasks of a domain, of a kind, or of a dataset; all 54 without a condition.

        Raises
        ------
        UnknownNameError
            A domain, target or dataset that does not exist.
        """
        kind = target if target is None else parse_target(target)
        only = dataset if dataset is None else self.dataset(dataset).id
        return tuple(
            task
            for card in self.datasets(domain)
            for task in card.tasks
            if (kind is None or task.target is kind) and (only is None or card.id == only)
        )

    def domains(self) -> tuple[str, ...]:
        """Return the imaging domains, sorted."""
        return tuple(sorted({card.domain for card in self._cards}))

    def overlapping(self, name: str) -> frozenset[str]:
        """Return the ids of all datasets whose domain or subjects overlap with one, said by either of the two."""
        card = self.dataset(name)
        own = {*card.domain_overlaps, *card.subject_overlaps}
        said_by_others = {
            other.id for other in self._cards if card.id in (*other.domain_overlaps, *other.subject_overlaps)
        }
        return frozenset(own | said_by_others)

    def _domain(self, name: str) -> str:
        for domain in self.domains():
            if normalised(domain) == normalised(name):
                return domain
        raise unknown_name("domain", name, self.domains())

    def _licence_id(self, name: str) -> str:
        for known in self._licences:
            if normalised(known) == normalised(name):
                return known
        raise unknown_name("licence", name, self._licences)


def parse_target(target: TaskTarget | str) -> TaskTarget:
    """Return a kind of task from its name, in words (``"multi-label"``) or as release 1.0 writes it.

    Raises
    ------
    UnknownNameError
        There is no such kind.

    Examples
    --------
    >>> parse_target("Multi-class")
    <TaskTarget.MULTICLASS: 'MULTICLASS_CLASSIFICATION'>
    """
    folded = normalised(target).replace(" ", "")
    for kind in TaskTarget:
        names = (kind.value, kind.name, kind.word)
        if folded in {normalised(name).replace(" ", "") for name in names}:
            return kind
    raise unknown_name("target", target, [kind.word for kind in TaskTarget])


def check_split(split: str) -> str:
    """Return `split` where it is one of train, val and test, and raise UnknownNameError otherwise."""
    if split not in SPLITS:
        raise UnknownNameError(f"unknown split {split!r}. Known: {', '.join(SPLITS)}.")
    return split


def task_card(task: TaskCard | str) -> TaskCard:
    """Return the card of a task that is given as one, or by its name in the catalogue.

    Raises
    ------
    UsageError
        It is neither.
    UnknownNameError
        There is no such task.
    """
    return task if isinstance(task, TaskCard) else default_catalogue().task(task)


@cache
def default_catalogue() -> Catalogue:
    """Return the catalogue of the packaged cards, read once per process."""
    licences = read_licences()
    folder = files("medimeta.catalogue") / "cards"
    return Catalogue(read_cards((path for path in folder.iterdir() if path.name.endswith(".yaml")), licences), licences)
