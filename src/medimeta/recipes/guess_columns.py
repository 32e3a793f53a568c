"""Which columns of a table are labels, groups and splits, guessed by their names and by what is in them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from medimeta.catalogue.own import RESERVED
from medimeta.catalogue.schema import normalised
from medimeta.recipes.own_recipe import is_set, natural, plain_number, says_nothing, split_of
from medimeta.sources.tables import Table

MOST_LABELS = 30
MOST_TASKS = 6
NEGATIVE = ("normal", "healthy", "negative", "benign", "control", "none", "no", "absent", "false", "0")

# Words of column names. Who or how, not what is to be predicted:
_ABOUT = {"sex", "gender", "age", "race", "ethnicity", "side", "laterality", "eye", "view", "site", "center", "centre"}
_ABOUT |= {"scanner", "device", "camera", "manufacturer", "vendor", "width", "height", "size", "date", "year", "index"}
_GROUP = {"patient", "subject", "participant", "person", "case", "mrn", "animal", "donor", "p"}
_NUMBER = {"code", "key", "name", "no", "nr", "number"}
_SPLIT = {"split", "set", "subset", "partition", "fold", "phase", "usage", "dataset"}
_LABEL = {"label", "labels", "class", "target", "diagnosis", "dx", "category", "type", "finding", "findings", "disease"}
_GRADE = {"grade", "grading", "score", "stage", "severity", "level"}


def table_fields(table: Table, image: str) -> tuple[dict[str, Any], list[str]]:
    """Return what a card says of the columns besides that of the image, and what was decided.

    Parameters
    ----------
    table : Table
        The table.
    image : str
        The column that names the images.

    Returns
    -------
    dict of str to Any
        Fields of the card: ``tasks``, empty where no column looks like a label, and ``group`` and ``split`` if found.
    list of str
        Remarks for people.
    """
    columns = {name: [row[name] for row in table] for name in table.columns if name and name != image}
    split = next((name for name, cells in columns.items() if _is_split(name, cells)), None)
    group = next((name for name, cells in columns.items() if name != split and _is_group(name, cells)), None)
    others = {name: cells for name, cells in columns.items() if name not in (split, group)}
    tasks, remarks = _tasks(others)
    fields: dict[str, Any] = {"tasks": tasks}
    if group is None:
        remarks.append("groups: none found; name the column of the patient under group, if there is one")
    else:
        fields["group"] = group
        remarks.append(f"groups: column {group!r}, {len(set(columns[group])):,} of them, never torn apart")
    if split is None:
        remarks.append("split: none found; 70/10/20 at random")
    else:
        fields["split"] = split
        remarks.append(f"split: column {split!r}")
    used = {name for rule in tasks.values() for name in _columns(rule)}
    left = [name for name in others if name not in used]
    return fields, [*remarks, f"kept as annotations: {', '.join(left)}"] if left else remarks


def _tasks(columns: Mapping[str, list[str]]) -> tuple[dict[str, Any], list[str]]:
    """Return the tasks, those first whose column is called like one."""
    tasks: dict[str, Any] = {}
    remarks: list[str] = []
    plain = [name for name in columns if not _words(name) & (_ABOUT | _SPLIT)]
    flags = [name for name in plain if {is_set(cell) for cell in columns[name]} == {True, False}]
    if len(flags) < 3:
        flags = []
    for name in sorted(plain, key=lambda name: not _words(name) & (_LABEL | _GRADE)):
        title = f"{name} label" if normalised(name) in map(normalised, RESERVED) else re.sub(r"[/\\]", " or ", name)
        found = None if name in flags or normalised(title) in map(normalised, tasks) else _task(name, columns[name])
        if found is not None and len(tasks) < MOST_TASKS:
            tasks[title], said = found
            remarks.append(f"task {title!r}: {said}")
    if flags:
        title = "findings" if "findings" not in map(normalised, tasks) else "all findings"
        tasks[title] = {"columns": flags}
        remarks.append(f"task {title!r}: multi-label, a column of 0 and 1 for each of {', '.join(flags)}")
    return tasks, remarks


def _columns(rule: Any) -> Sequence[str]:
    return [rule] if isinstance(rule, str) else rule["columns"] if "columns" in rule else [rule["column"]]


def _task(name: str, cells: list[str]) -> tuple[Any, str] | None:
    """Return what the card says of a label column, and how to say it; None where it does not look like one."""
    separator = next((mark for mark in ("|", ";") if any(mark in cell for cell in cells)), None)
    if separator is not None:
        labels = {part.strip() for cell in cells for part in cell.split(separator)} - {""}
        if 2 <= len(labels) <= max(MOST_LABELS, len(cells) // 10):
            return {"column": name, "separator": separator}, f"multi-label, {len(labels)} labels between {separator!r}"
        return None
    values = sorted({plain_number(cell) for cell in cells}, key=natural)
    if not 2 <= len(values) <= MOST_LABELS or len(values) * 2 > len(cells) or any(map(says_nothing, values)):
        return None
    if any(re.fullmatch(r"[+-]?\d*[.,]\d+(e[+-]?\d+)?", value) for value in values):
        return None  # measurements
    numbers = all(re.fullmatch(r"[+-]?\d+", value) for value in values)
    if numbers and len(values) > 2 and _words(name) & _GRADE:
        return {"column": name, "target": "ordinal"}, f"ordinal, grades {', '.join(values)}"
    if len(values) == 2:
        order = negative_first(values)
        return {"column": name, "labels": order}, f"binary, {order[1]!r} is the positive label"
    return name, f"multi-class, {len(values)} labels: {some(values)}"


def _is_split(name: str, cells: list[str]) -> bool:
    return bool(_words(name) & _SPLIT) and bool(cells) and all(split_of(cell) for cell in set(cells))


def _is_group(name: str, cells: list[str]) -> bool:
    words = {word.removesuffix("id") for word in _words(name)} - {""}
    return bool(words & _GROUP) and words <= _GROUP | _NUMBER and "" not in cells and len(set(cells)) > 2


def _words(name: str) -> set[str]:
    """Return the words of a column's name, however they are joined.

    Examples
    --------
    >>> sorted(_words("PatientID")), sorted(_words("cell_type"))
    (['id', 'patient'], ['cell', 'type'])
    """
    parts = re.sub(r"([a-z])([A-Z])", r"\1 \2", name)
    return set(re.sub(r"[\W_]+", " ", parts).casefold().split())


def negative_first(labels: Sequence[str]) -> list[str]:
    """Order two labels: the positive one is the second."""
    rank = {word: number for number, word in enumerate(NEGATIVE)}
    return sorted(labels, key=lambda label: (rank.get(label.casefold(), len(rank)), natural(label)))


def some(values: Sequence[str], most: int = 8) -> str:
    """Name the first values, and show that there are more."""
    return ", ".join(values[:most]) + (", ..." if len(values) > most else "")
