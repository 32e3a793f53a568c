"""Tables of results: test AUROC beside the paper's, few-shot figures, and one line a dataset as in the paper."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from medimeta.benchmark.rows import ORIGINS, Row, natural, rank

DASH = "–"  # for what is not defined, or not reported
NOTE = (
    "AUROC on the test split in percent, mean over seeds; classes without positives or negatives are skipped. "
    "The spread is the standard deviation over seeds. The interval is a bootstrap over the test split, the widest over "
    "seeds. The paper reports one run, from ImageNet weights, on whole data; the difference to it counts 0 for a class "
    "without positives or negatives, as the paper does, and there is none to tell for data built from a part."
)
FEW_SHOT_NOTE = (
    "Mean over episodes ± 1.96 standard errors, in percent. The episodes of all seeds count; shots are images of each "
    "class to learn from."
)
SUMMARY_NOTE = (
    "AUROC on the test split in percent. Each mean is over the same rows: those in which no column is empty. "
    "Columns called paper hold the paper's Table 1."
)


@dataclass(frozen=True)
class Table:
    """A table, ready for any format.

    Attributes
    ----------
    title, note : str
        What stands above and below.
    columns : tuple of str
        Heads.
    rows : tuple of tuple of str
        Cells.
    words : int
        How many columns, from the left, are words; the others are figures.
    footer : tuple of str
        A last row, set apart; empty where there is none.
    """

    title: str
    note: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    words: int
    footer: tuple[str, ...] = ()


def make_tables(rows: Sequence[Row]) -> list[Table]:
    """Return the tables that there is something for: supervised, summary, few-shot."""
    supervised = [row for row in rows if row.supervised]
    few_shot = [row for row in rows if not row.supervised]
    tables = []
    if supervised:
        tables += [results_table(supervised), summary_table(supervised)]
    if few_shot:
        tables.append(few_shot_table(few_shot))
    return tables


def results_table(rows: Sequence[Row]) -> Table:
    """Return a line for each supervised row, beside the paper's figure."""
    apart = any(row.apart for row in rows)
    columns = ("task", "backbone", "weights", *(["settings"] if apart else []), "seeds", "test", "AUROC", "spread")
    return Table(
        title="Test AUROC",
        note=NOTE,
        columns=(*columns, "95 % interval", "paper", "difference", "data"),
        rows=tuple(_result(row, apart) for row in rows),
        words=4 if apart else 3,
    )


def _result(row: Row, apart: bool) -> tuple[str, ...]:
    return (
        row.task,
        row.backbone,
        row.weights,
        *([row.apart or DASH] if apart else []),
        str(len(row.runs)),
        f"{row.test_samples:,}",
        percent(row.auroc),
        percent(row.spread),
        DASH if row.interval is None else f"{percent(row.interval[0])} to {percent(row.interval[1])}",
        percent(row.paper),
        signed(row.difference),
        "part" if row.partial else "whole",
    )


def few_shot_table(rows: Sequence[Row]) -> Table:
    """Return a line for each few-shot row: task, method, weights, shots."""
    apart = any(row.apart for row in rows)
    columns = ("task", "method", "backbone", "weights", *(["settings"] if apart else []))
    return Table(
        title="Few-shot",
        note=FEW_SHOT_NOTE,
        columns=(*columns, "shots", "episodes", "AUROC", "accuracy", "data"),
        rows=tuple(
            (
                row.task,
                row.method,
                row.backbone,
                row.weights,
                *([row.apart or DASH] if apart else []),
                str(row.shots),
                f"{row.episodes:,}",
                plus_minus(row.auroc, row.half_width("auroc")),
                plus_minus(row.mean("accuracy"), row.half_width("accuracy")),
                "part" if row.partial else "whole",
            )
            for row in rows
        ),
        words=len(columns),
    )


def summary_table(rows: Sequence[Row]) -> Table:
    """Return the paper's Table 1: a line for each task, a column for each model, means below."""
    models = list(dict.fromkeys((row.backbone, row.weights, row.apart) for row in sorted(rows, key=_model_place)))
    weights = {model[1] for model in models}
    heads, cells = [], []
    for model in models:
        backbone, origin, apart = model
        named = [part for part in (origin if len(weights) > 1 else "", apart) if part]
        heads.append(f"{backbone} ({', '.join(named)})" if named else backbone)
        cells.append({row.task: row.auroc for row in rows if (row.backbone, row.weights, row.apart) == model})
    for backbone in dict.fromkeys(model[0] for model in models):
        figures = {row.task: row.paper for row in rows if row.backbone == backbone}
        if any(figure is not None for figure in figures.values()):
            heads.append(f"paper, {backbone}")
            cells.append(figures)
    tasks = list(dict.fromkeys(row.task for row in rows))
    shared = [task for task in tasks if all(column.get(task) is not None for column in cells)]
    footer: tuple[str, ...] = ()
    if len(shared) > 1:
        means = [fmean(value for task in shared if (value := column[task]) is not None) for column in cells]
        footer = (f"mean of {len(shared)}", *map(percent, means))
    return Table(
        title="Summary",
        note=SUMMARY_NOTE,
        columns=("task", *heads),
        rows=tuple((task, *(percent(column.get(task)) for column in cells)) for task in tasks),
        words=1,
        footer=footer,
    )


def _model_place(row: Row) -> tuple[Any, ...]:
    return natural(row.backbone), rank(row.weights, ORIGINS), natural(row.apart)


def percent(value: float | None) -> str:
    """Return a fraction in percent; a dash where there is none."""
    return DASH if value is None else f"{100 * value:.1f}"


def signed(value: float | None) -> str:
    """Return a difference in percent, with its sign."""
    return DASH if value is None else f"{100 * value:+.1f}".replace("-0.0", "+0.0")


def plus_minus(mean: float | None, half: float | None) -> str:
    """Return a mean with its margin, in percent."""
    return percent(mean) if mean is None or half is None else f"{percent(mean)} ± {percent(half)}"
