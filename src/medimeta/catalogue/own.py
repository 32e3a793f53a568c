"""Cards of people's own data: at most ten lines of YAML that say how a folder of images becomes a dataset.

There are two kinds, told apart by ``recipe``: ``folder`` (a folder for each class) and ``table`` (a CSV or XLSX file
that names the images). What a card leaves out is found in the data; `medimeta.recipes.own` makes the full card.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    PositiveInt,
    StringConstraints,
    model_validator,
)

from medimeta.catalogue.catalogue import default_catalogue, parse_target
from medimeta.catalogue.schema import Card, FrozenDict, Licence, TaskTarget, normalised

UNSPECIFIED = "unspecified"
# The columns that annotations.csv always has, or that a build adds.
RESERVED = ("filepath", "split", "original_filepath", "original_split", "original_image_size", "mask_path")
QUOTE = "put it in quotes: YAML reads yes, no, on and off as true and false"


def clean(text: object) -> str:
    r"""Return a name or a cell in the one form in which they are compared.

    Examples
    --------
    >>> clean(" caf\N{LATIN SMALL LETTER E WITH ACUTE} ") == clean("cafe\N{COMBINING ACUTE ACCENT}"), clean(3)
    (True, '3')
    """
    return unicodedata.normalize("NFC", str(text)).strip()


def _task_name(name: str) -> str:
    if normalised(name) in map(normalised, RESERVED):
        raise ValueError(f"annotations.csv has a column of that name already; not allowed are {', '.join(RESERVED)}")
    if len(name.encode()) > 200:
        raise ValueError("is too long for the name of a file")
    return name


def _as_target(value: Any) -> Any:
    return parse_target(value) if isinstance(value, str) else value


def _as_labels(value: Any) -> Any:
    """Make a mapping of a list of labels, and text of numbers."""
    if isinstance(value, Mapping):
        pairs = list(value.items())
    elif isinstance(value, (list, tuple)):
        pairs = [(label, label) for label in value]
    else:
        raise ValueError("must be a list of labels in their order, or a mapping from what the source says to a label")
    labels: dict[str, str] = {}
    for said, label in pairs:
        for part in (said, label):
            if isinstance(part, bool) or not isinstance(part, (str, int, float)):
                raise ValueError(f"{part!r} is no text: {QUOTE}")
        if clean(said) in labels:
            raise ValueError(f"names {clean(said)!r} twice")
        if not clean(label):
            raise ValueError(f"{said!r} needs a label that is not empty")
        labels[clean(said)] = clean(label)
    if not labels:
        raise ValueError("is empty")
    return labels


def _as_task(value: Any) -> Any:
    return value if isinstance(value, Mapping) else {"column": value}


def licence_id(value: str) -> str:
    """Return the id of a licence of the catalogue, however it is spelled."""
    ids = {normalised(name): name for name in default_catalogue().licences}
    return ids.get(normalised(value), value)


def _pattern(value: str) -> str:
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"is no regular expression ({error})") from None
    return value


Text = Annotated[str, Field(min_length=1), AfterValidator(clean)]
TaskName = Annotated[str, AfterValidator(clean), Field(pattern=r"^[^/\\\x00-\x1f]+$"), AfterValidator(_task_name)]
Target = Annotated[TaskTarget, BeforeValidator(_as_target)]
Labels = Annotated[dict[str, str], BeforeValidator(_as_labels), AfterValidator(FrozenDict)]


class _OwnPart(Card):
    model_config = ConfigDict(coerce_numbers_to_str=True)


class LabelRule(_OwnPart):
    """How the labels of a task are read.

    Attributes
    ----------
    target : TaskTarget, optional
        The kind of task; without it binary where there are two labels, else multi-class.
    labels : mapping of str to str, optional
        What the source says to the label that it means, in the order of the labels; a list means what it says. Without
        it the labels are those found, sorted.
    """

    target: Target | None = None
    labels: Labels | None = None

    @model_validator(mode="after")
    def _labels_fit_target(self) -> Self:
        names = self.names
        if self.target is TaskTarget.BINARY and self.labels is not None and len(names) != 2:
            raise ValueError(f"a binary task has two labels, not {len(names)}")
        if self.target is TaskTarget.ORDINAL and self.labels is not None:
            if len(names) != len(self.labels):
                raise ValueError("an ordinal task needs a name of its own for every grade")
            if self.grades is not None and list(self.grades) != sorted(self.grades):
                raise ValueError(f"the grades of an ordinal task must ascend, got {list(self.grades)}")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """The labels that the card names, in their order."""
        return tuple(dict.fromkeys((self.labels or {}).values()))

    @property
    def grades(self) -> dict[int, str] | None:
        """Grade to label, where the card tells labels by whole numbers."""
        if self.labels is None or not all(re.fullmatch(r"[+-]?\d+", said) for said in self.labels):
            return None
        return {int(said): label for said, label in self.labels.items()}


class ColumnRule(LabelRule):
    """A task of a table.

    Attributes
    ----------
    column : str, optional
        The column that holds the label, or several between separators.
    columns : tuple of str
        Columns of 0 and 1, one a label, for a multi-label task.
    separator : str, optional
        What stands between the labels of a multi-label cell.
    """

    column: Text | None = None
    columns: tuple[Text, ...] = ()
    separator: Annotated[str, StringConstraints(min_length=1, strip_whitespace=False)] | None = None

    @model_validator(mode="after")
    def _has_one_form(self) -> Self:
        if (self.column is None) == (not self.columns):
            raise ValueError("needs either column, or columns (several, of 0 and 1)")
        if len(set(self.columns)) < len(self.columns):
            raise ValueError("names a column twice")
        if self.columns and self.separator is not None:
            raise ValueError("separator is for labels in one column")
        several = bool(self.columns) or self.separator is not None
        if self.target is not None and several != (self.target is TaskTarget.MULTILABEL):
            kind = "a multi-label task needs" if not several else f"a {self.target.word} task has no"
            raise ValueError(f"{kind} separator or columns")
        if self.columns and self.labels is not None and set(self.labels) != set(self.columns):
            raise ValueError(f"labels must name each of the columns: {', '.join(self.columns)}")
        return self

    @property
    def several(self) -> bool:
        """Whether an image may have several labels."""
        return bool(self.columns) or self.separator is not None


class OwnCard(_OwnPart):
    """What every card of own data may say.

    Attributes
    ----------
    id : str
        Name of the dataset's folder, and of the dataset in commands.
    name, domain, summary : str
        For people.
    licence : str
        Id of a licence of the catalogue, or any other name.
    commercial : bool, optional
        Whether the licence allows commercial use, where the catalogue does not know it.
    channels : int
        1 to store grey, 3 to store colour.
    square : str
        What to do with images that are not square: ``pad`` with black, ``crop`` the middle, or ``stretch``.
    ratios : tuple of int
        Shares of train, val and test where the source has no split.
    skip : tuple of str
        Patterns such as ``*_mask.png``: files that are no images of the dataset.
    """

    id: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=64)]
    recipe: str
    name: Text | None = None
    domain: Text = "own data"
    summary: Text | None = None
    licence: Annotated[Text, AfterValidator(licence_id)] = UNSPECIFIED
    commercial: bool | None = None
    channels: Literal[1, 3] = 3
    square: Literal["pad", "crop", "stretch"] = "pad"
    ratios: tuple[PositiveInt, PositiveInt, PositiveInt] = (70, 10, 20)
    skip: tuple[Text, ...] = ()

    @property
    def rules(self) -> dict[str, LabelRule]:
        """Task name to the rule of its labels; the first task is the primary one."""
        raise NotImplementedError


class FolderCard(OwnCard, LabelRule):
    """Images in a folder for each class, which may lie in folders called train, val and test.

    Attributes
    ----------
    task : str
        Name of the task; what the folders mean is said as in every `LabelRule`.
    group : str, optional
        A regular expression that finds in an image's path, below the class, what must not be torn apart by a random
        split, such as a patient: its first parenthesis, or all of it.
    """

    recipe: Literal["folder"]
    task: TaskName = "class"
    group: Annotated[Text, AfterValidator(_pattern)] | None = None

    @model_validator(mode="after")
    def _has_one_label_an_image(self) -> Self:
        if self.target is TaskTarget.MULTILABEL:
            raise ValueError("an image lies in one folder only: for a multi-label task use the recipe table")
        return self

    @property
    def rules(self) -> dict[str, LabelRule]:
        """The one task."""
        return {self.task: self}


class TableCard(OwnCard):
    """A table with a row for each image.

    Attributes
    ----------
    table : str
        File name of the table in the source: CSV, TSV or XLSX.
    image : str
        The column that names the image of a row.
    tasks : mapping of str to ColumnRule
        Task name to its column, or to more about it.
    group : str, optional
        The column of what must not be torn apart by a random split, such as a patient.
    split : str, optional
        The column that says train, val or test.
    """

    recipe: Literal["table"]
    table: Text
    image: Text
    tasks: Annotated[
        dict[TaskName, Annotated[ColumnRule, BeforeValidator(_as_task)]],
        Field(min_length=1),
        AfterValidator(FrozenDict),
    ]
    group: Text | None = None
    split: Text | None = None

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        names = [normalised(name) for name in self.tasks]
        twice = [name for name in self.tasks if names.count(normalised(name)) > 1]
        if twice:
            raise ValueError(f"the tasks {' and '.join(map(repr, twice))} have one name (spaces, _ and - are the same)")
        return self

    @property
    def rules(self) -> dict[str, LabelRule]:
        """The tasks."""
        return dict(self.tasks)


def own_terms(licence: str, commercial: bool | None = None) -> Licence | None:
    """Return the terms of a licence that the catalogue does not know; None where it does."""
    if licence in default_catalogue().licences:
        return None
    if licence == UNSPECIFIED:
        terms = "No licence was named when the dataset was built: ask its owner before you pass it on."
    else:
        terms = "The owner of the data named this licence; its text is not part of the dataset."
    return Licence(
        id=licence,
        name="Licence not specified" if licence == UNSPECIFIED else licence,
        commercial=bool(commercial),
        share_alike=False,
        attribution=True,
        terms=terms,
    )
