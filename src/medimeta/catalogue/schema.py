"""What a card may say: frozen, validated models of datasets, tasks, sources and licences.

The fields are those of release 1.0's description of a dataset (paper, section 2) plus what a reviewer asks for:
licence terms of every source, overlaps with other datasets, and who is to be cited.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Literal, NoReturn, Self, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, NonNegativeInt, model_validator

from medimeta._numbers import shown
from medimeta.errors import UsageError

SPLITS = ("train", "val", "test")


class TaskTarget(StrEnum):
    """The four kinds of task, by the names that release 1.0 writes into ``info.yaml``."""

    MULTICLASS = "MULTICLASS_CLASSIFICATION"
    BINARY = "BINARY_CLASSIFICATION"
    MULTILABEL = "MULTILABEL_CLASSIFICATION"
    ORDINAL = "ORDINAL_REGRESSION"

    @property
    def word(self) -> str:
        """The kind as a person says it: multi-class, binary, multi-label or ordinal."""
        return {"MULTICLASS": "multi-class", "MULTILABEL": "multi-label"}.get(self.name, self.name.lower())


Key = TypeVar("Key")


class FrozenDict(dict[Key, str]):
    """A mapping to text that cannot be changed, so that a card is frozen all through and can be hashed."""

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise TypeError("a card cannot be changed")

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(frozenset(self.items()))

    def __reduce__(self) -> tuple[type[FrozenDict[Key]], tuple[dict[Key, str]]]:
        return type(self), (dict(self),)


Id = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
Text = Annotated[str, Field(min_length=1)]
Url = Annotated[str, Field(pattern=r"^https?://\S+$")]


class Card(BaseModel):
    """Base of all models here: frozen, and nothing unknown slips in."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)


class Licence(Card):
    """The terms of a licence, as far as they decide what a user may do."""

    id: Text
    name: Text
    url: Url | None = None
    commercial: bool
    share_alike: bool
    attribution: bool
    terms: Text


class Paper(Card):
    """A publication, with what BibTeX needs."""

    key: Annotated[str, Field(pattern=r"^[a-z]+\d{4}[a-z]*$")]
    authors: Annotated[tuple[Text, ...], Field(min_length=1)]
    title: Text
    year: Annotated[int, Field(ge=1990, le=2100)]
    venue: Text | None = None
    conference: bool = False
    volume: str | None = None
    pages: str | None = None
    doi: Annotated[str, Field(pattern=r"^10\.\d{4,}/\S+$")] | None = None
    url: Url | None = None


class Source(Card):
    """An original download that a dataset is made from."""

    name: Text
    title: Text
    url: Url
    licence: Text
    licence_note: Text | None = None
    paper_title: Text
    paper_url: Url
    paper: Paper


class Samples(Card):
    """How many samples there are, in all and in each split."""

    total: NonNegativeInt
    train: NonNegativeInt
    val: NonNegativeInt
    test: NonNegativeInt

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        found = self.train + self.val + self.test
        if found != self.total:
            raise ValueError(f"train + val + test is {found}, but total is {self.total}")
        return self

    def of(self, split: str) -> int:
        """Return the number of samples of one split."""
        return int(getattr(self, split))


class TaskCard(Card):
    """One task: what is predicted, and what the stored integers mean.

    Attributes
    ----------
    dataset : str
        Id of the dataset whose images are labelled.
    name : str
        Name of the task, as in the file names of ``task_labels``.
    target : TaskTarget
        The kind of task.
    labels : mapping of int to str
        Stored integer to label name. Ordinal tasks keep their original grades, which need not be consecutive.
    primary : bool
        Whether this is the task that the paper's Table 1 reports for the dataset.
    """

    dataset: Id
    name: Annotated[str, Field(pattern=r"^[^/\\\x00]+$")]
    target: TaskTarget
    labels: Annotated[dict[int, Text], AfterValidator(FrozenDict)]
    primary: bool = False

    @model_validator(mode="after")
    def _keys_fit_target(self) -> Self:
        keys = list(self.labels)
        if len(keys) < (1 if self.target is TaskTarget.MULTILABEL else 2):
            raise ValueError(f"a {self.target.word} task needs more labels than {len(keys)}")
        if keys != sorted(keys):
            raise ValueError(f"label keys must ascend, got {keys}")
        if self.target is TaskTarget.BINARY and keys != [0, 1]:
            raise ValueError(f"a binary task has the label keys 0 and 1, got {keys}")
        if self.target is not TaskTarget.ORDINAL and keys != list(range(len(keys))):
            raise ValueError(f"label keys must count from 0 without a gap, got {keys}")
        if len(set(self.labels.values())) != len(keys):
            raise ValueError("two labels have the same name")
        return self

    @property
    def id(self) -> str:
        """The task's full name, ``<dataset id>/<task name>``."""
        return f"{self.dataset}/{self.name}"

    @property
    def keys(self) -> tuple[int, ...]:
        """The integers that may be stored; the index of a class is its place here. For multi-label: the columns."""
        return tuple(self.labels)

    @property
    def classes(self) -> tuple[str, ...]:
        """The label names, in the order of `keys`."""
        return tuple(self.labels.values())

    @property
    def outputs(self) -> int:
        """How many numbers a model predicts: one for a binary task, else one per label."""
        return 1 if self.target is TaskTarget.BINARY else len(self.labels)

    def key_of(self, name: str) -> int:
        """Return the stored integer of a label name; raises KeyError where there is none."""
        return {label: key for key, label in self.labels.items()}[name]


class Erratum(Card):
    """One mistake of release 1.0, or a thing of its making that cannot be told any more, and what is done about it.

    Attributes
    ----------
    id : str
        Name of the erratum in kebab case, once a card.
    affects : str
        What a user of the release sees it in. ``names`` are those of labels and datasets, and how these are described.
    release : str
        What release 1.0 does.
    here : str
        What this package does.
    repeatable : bool
        Whether ``medimeta build --release-errata`` builds what the release has.
    """

    id: Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]
    affects: Literal["labels", "masks", "splits", "overlaps", "licence", "names", "counts"]
    release: Text
    here: Text
    repeatable: bool = False

    @model_validator(mode="after")
    def _is_built_if_repeatable(self) -> Self:
        if self.repeatable and self.affects not in ("labels", "masks"):
            raise ValueError(f"a build repeats only what affects labels or masks, not {self.affects}")
        return self


def _with_ids_of_their_own(errata: tuple[Erratum, ...]) -> tuple[Erratum, ...]:
    ids = [erratum.id for erratum in errata]
    if twice := sorted({name for name in ids if ids.count(name) > 1}):
        raise ValueError(f"two errata are called {' and '.join(map(repr, twice))}")
    return errata


class DatasetCard(Card):
    """Everything that is known of a dataset without reading one image.

    Examples
    --------
    >>> import medimeta as mm
    >>> card = mm.dataset("oct")
    >>> card.samples.total, card.primary.target.word
    (109309, 'multi-class')

    ``subject_column`` is the column of ``annotations.csv`` that tells the samples of one subject: a patient, a lesion,
    a volume. It is left out where the source tells no subjects.

    Cards of people's own data (see `medimeta.catalogue.own`) have no source, and may bring terms of their own, as
    ``own_licence``.
    """

    id: Id
    name: Text
    domain: Text
    channels: Annotated[int, Field(ge=1, le=3)]
    summary: Text
    released_licence: Text
    samples: Samples
    original_samples: Samples
    domain_overlaps: tuple[Id, ...] = ()
    subject_overlaps: tuple[Id, ...] = ()
    overlap_exceptions: Annotated[dict[Id, Text], AfterValidator(FrozenDict)] = FrozenDict()
    primary_task: Text
    tasks: Annotated[tuple[TaskCard, ...], Field(min_length=1)]
    sources: tuple[Source, ...] = ()
    own_licence: Licence | None = None
    recipe: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")] | None = None
    subject_column: Text | None = None
    notes: tuple[Text, ...] = ()
    errata: Annotated[tuple[Erratum, ...], AfterValidator(_with_ids_of_their_own)] = ()

    @property
    def primary(self) -> TaskCard:
        """The task that the paper's Table 1 reports."""
        return next(task for task in self.tasks if task.primary)

    def shape(self, size: int) -> tuple[int, ...]:
        """Return the stored shape of one image at `size` pixels: ``(S, S)`` for grey, ``(S, S, 3)`` for colour."""
        return (size, size) if self.channels == 1 else (size, size, self.channels)


def consistency_problems(raw: Mapping[str, Any], licences: Mapping[str, Licence]) -> list[tuple[str, str]]:
    """Check what no single field can know, on the raw card, so that it is reported along with bad fields.

    Returns
    -------
    list of (str, str)
        Field and problem. Fields that are missing or of the wrong type are passed over: their own validation says so.
    """
    problems: list[tuple[str, str]] = []
    tasks = [task for task in _list(raw.get("tasks")) if isinstance(task, dict)]
    names = [task["name"] for task in tasks if isinstance(task.get("name"), str)]
    for index, name in enumerate(names):
        if normalised(name) in map(normalised, names[:index]):
            problems.append((f"tasks.{index}.name", f"two tasks are called {name!r} (spaces, _ and - are the same)"))
    if isinstance(raw.get("primary_task"), str) and names and raw["primary_task"] not in names:
        problems.append(("primary_task", f"{raw['primary_task']!r} is none of the tasks: {', '.join(names)}"))
    if raw.get("channels") == 2:
        problems.append(("channels", "must be 1 (grey) or 3 (colour), got 2"))
    totals = [_list_get(raw, field, "total") for field in ("samples", "original_samples")]
    if all(isinstance(total, int) for total in totals) and totals[0] != totals[1]:
        problems.append(("original_samples.total", f"is {totals[1]}, but samples.total is {totals[0]}"))
    if raw.get("sources", ()) in ((), []):
        problems.append(("sources", "must name at least one source"))
    if raw.get("own_licence") is not None:
        problems.append(("own_licence", "is for people's own data; add the licence to licences.yaml"))
    used = [("released_licence", raw.get("released_licence"))]
    sources = [source for source in _list(raw.get("sources")) if isinstance(source, dict)]
    used += [(f"sources.{index}.licence", source.get("licence")) for index, source in enumerate(sources)]
    problems += [
        (field, f"unknown licence {value!r}; known: {', '.join(licences)}")
        for field, value in used
        if isinstance(value, str) and value not in licences
    ]
    for field in ("domain_overlaps", "subject_overlaps"):
        if raw.get("id") in _list(raw.get(field)):
            problems.append((field, "a dataset does not overlap with itself"))
    return problems


def normalised(name: str) -> str:
    """Fold a name so that case, and the difference of space, ``_`` and ``-``, do not matter.

    Examples
    --------
    >>> normalised("Disease-Class ") == normalised("disease_class")
    True
    """
    return re.sub(r"[\s_-]+", " ", as_name(name)).strip().casefold()


def as_name(value: Any, what: str = "a name") -> str:
    """Return what was given as the name of a dataset or task.

    Raises
    ------
    UsageError
        It is no text.
    """
    if not isinstance(value, str):
        raise UsageError(f"{what} must be text, such as 'oct' or 'oct/disease class', got {shown(value)}.")
    return value


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _list_get(raw: Mapping[str, Any], field: str, key: str) -> Any:
    inner = raw.get(field)
    return inner.get(key) if isinstance(inner, dict) else None
