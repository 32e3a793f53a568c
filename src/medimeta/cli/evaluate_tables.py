"""Figures and their intervals as tables on the screen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

from medimeta.cli.console import console

if TYPE_CHECKING:
    from medimeta.learning.metrics import ClassScores, Comparison, Scores

IN_THEIR_OWN_UNIT = ("quadratic_weighted_kappa", "mean_absolute_error")  # all others are shares, shown in percent
NOTHING = "–"
WIDE = 120  # columns of a screen that has room for intervals beside their figures


def print_scores(scores: Scores, split: str) -> None:
    """Print the figures of the whole task, and those of each class."""
    from medimeta.learning.metrics import FIGURES

    screen = console()
    screen.print(_headline(scores, split))
    table = _table("figure", "value", f"{100 * scores.confidence:g} % interval")
    for name, title in FIGURES.items():
        value, interval = getattr(scores, name), getattr(scores, f"{name}_interval")
        if name not in IN_THEIR_OWN_UNIT or value is not None:
            table.add_row(title, _shown(name, value), _interval(name, interval))
    other = "zero" if scores.absent == "skip" else "skip"
    if scores.absent_classes:
        title = f"AUROC, absent classes {'counted as 0' if other == 'zero' else 'left out'}"
        table.add_row(title, _shown("auroc", scores.auroc_by_rule[other]), "")
    screen.print(table)
    classes = _table("label, in %", "positives", "AUROC", "average precision", "recall", "specificity")
    gap = " " if screen.width >= WIDE else "\n"
    for label, each in scores.per_class.items():
        figures = ("auroc", "average_precision", "recall", "specificity")
        classes.add_row(label, f"{each.positives:,}", *(_with_interval(each, name, gap) for name in figures))
    screen.print(classes)
    if scores.absent_classes:
        what = "left out of the means" if scores.absent == "skip" else "counted as 0 in the means"
        screen.print(f"Without AUROC, and {what}: {', '.join(scores.absent_classes)}")


def print_comparison(comparison: Comparison, split: str, names: tuple[str, str]) -> None:
    """Print the figures of two models, and their differences."""
    from medimeta.learning.metrics import FIGURES

    screen = console()
    screen.print(_headline(comparison.first, split))
    screen.print(f"first:  {names[0]}\nsecond: {names[1]}")
    interval = f"{100 * comparison.first.confidence:g} % interval"
    table = _table("figure", "first", "second", "difference", interval, "p")
    for name, difference in comparison.differences.items():
        both = (_shown(name, getattr(each, name)) for each in (comparison.first, comparison.second))
        table.add_row(
            FIGURES[name],
            *both,
            _shown(name, difference.value, signed=True),
            _interval(name, difference.interval, signed=True),
            _p(difference.p_value),
        )
    screen.print(table)
    classes = _table("AUROC of label", "first", "second", "difference", interval, "p")
    for label, difference in comparison.per_class.items():
        both = (_shown("auroc", each.per_class[label].auroc) for each in (comparison.first, comparison.second))
        classes.add_row(
            label,
            *both,
            _shown("auroc", difference.value, signed=True),
            _interval("auroc", difference.interval, signed=True),
            _p(difference.p_value),
        )
    screen.print(classes)


def _headline(scores: Scores, split: str) -> str:
    drawn = f"{scores.samples:,} images" if scores.groups is None else f"{scores.groups:,} patients"
    bootstrap = f"{scores.resamples:,} resamples of {drawn}" if scores.resamples else "no resamples"
    return f"{scores.task}, {split}: {scores.samples:,} images; {bootstrap}"


def _table(first: str, *columns: str) -> Table:
    table = Table()
    table.add_column(first)
    for column in columns:
        table.add_column(column, justify="right")
    return table


def _shown(name: str, value: float | None, *, signed: bool = False) -> str:
    if value is None:
        return NOTHING
    sign = "+" if signed else ""
    return f"{value:{sign}.3f}" if name in IN_THEIR_OWN_UNIT else f"{100 * value:{sign}.1f} %"


def _interval(name: str, bounds: tuple[float, float] | None, *, signed: bool = False) -> str:
    if bounds is None:
        return ""
    sign, scale, digits = ("+" if signed else ""), *((1, 3) if name in IN_THEIR_OWN_UNIT else (100, 1))
    return "[" + ", ".join(f"{scale * bound:{sign}.{digits}f}" for bound in bounds) + "]"


def _with_interval(scores: ClassScores, name: str, gap: str) -> str:
    value = getattr(scores, name)
    if value is None:
        return NOTHING
    return f"{100 * value:.1f}{gap}{_interval(name, getattr(scores, f'{name}_interval'))}".rstrip()


def _p(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.3f}"
