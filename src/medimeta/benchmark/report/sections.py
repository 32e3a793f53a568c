"""What the page shows of each task: figures of every model, few-shot curves, and all metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from medimeta.benchmark.report.class_bars import class_figure
from medimeta.benchmark.report.learning_curves import Training, learning_figure
from medimeta.benchmark.report.plot import Figure
from medimeta.benchmark.report.reliability import reliability_figure
from medimeta.benchmark.report.roc import roc_figure
from medimeta.benchmark.report.shots import Shots, shots_figure
from medimeta.benchmark.results import OneVsRest, Results, read_one_vs_rest
from medimeta.benchmark.rows import Row
from medimeta.benchmark.table import DASH
from medimeta.learning.metrics.scores import FIGURES

OF_CLASSES = {
    "auroc": "AUROC",
    "average_precision": "average precision",
    "recall": "recall",
    "specificity": "specificity",
}


@dataclass(frozen=True)
class ModelPart:
    """One model of a task: its row, its figures, and every class in numbers."""

    row: Row
    figures: tuple[Figure, ...]
    class_columns: tuple[str, ...]
    classes: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class TaskPart:
    """One task.

    Attributes
    ----------
    anchor : str
        Name of its place on the page.
    task, kind : str
        Id, and the kind as a person says it; empty for people's own data.
    classes : int
        How many classes it has; 0 where it is not known.
    models : tuple of ModelPart
        Supervised models.
    few_shot : Figure or None
        Curves over shots.
    rows : tuple of Row
        All rows of the task.
    metrics : tuple of (str, tuple of str)
        Name of a metric, and its figure for each supervised model.
    """

    anchor: str
    task: str
    kind: str
    classes: int
    models: tuple[ModelPart, ...]
    few_shot: Figure | None
    rows: tuple[Row, ...]
    metrics: tuple[tuple[str, tuple[str, ...]], ...]

    @property
    def best(self) -> Row | None:
        """The supervised row, or else the few-shot one, with the highest AUROC."""
        known = [row for row in self.rows if row.auroc is not None and row.supervised]
        known = known or [row for row in self.rows if row.auroc is not None]
        return max(known, key=lambda row: row.auroc or 0, default=None)

    @property
    def best_of(self) -> str:
        """What `best` is."""
        models = len(self.models) or len(self.rows)
        return f"best of {models}" if models > 1 else "AUROC"


@dataclass(frozen=True)
class FewShotLines:
    """The few-shot table of the page: a line for each task, method and model, a column for each number of shots."""

    shots: tuple[int, ...]
    lines: tuple[tuple[Row, tuple[Row | None, ...], str], ...]


def few_shot_lines(rows: Sequence[Row]) -> FewShotLines | None:
    """Return the few-shot rows by shots; None where there are none."""
    shots = tuple(sorted({row.shots for row in rows if row.shots is not None}))
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.task, row.model), []).append(row)
    lines = []
    for own in groups.values():
        by_shots = {row.shots: row for row in own}
        episodes = sorted({row.episodes for row in own})
        told = f"{episodes[0]:,}" if len(episodes) == 1 else f"{episodes[0]:,} to {episodes[-1]:,}"
        lines.append((own[0], tuple(by_shots.get(count) for count in shots), told))
    return FewShotLines(shots, tuple(lines)) if lines else None


def make_sections(results: Results, rows: Sequence[Row]) -> tuple[tuple[TaskPart, ...], tuple[str, ...]]:
    """Return what is shown of each task, and what could not be read for it."""
    problems: list[str] = []
    parts = []
    for number, task in enumerate(dict.fromkeys(row.task for row in rows), 1):
        own = tuple(row for row in rows if row.task == task)
        supervised = [row for row in own if row.supervised]
        card = own[0].card
        parts.append(
            TaskPart(
                anchor=f"task-{number}",
                task=task,
                kind=card.target.word if card else "",
                classes=len(card.classes) if card else len((supervised or own)[0].runs[0].test.get("per_class") or ()),
                models=tuple(ModelPart(row, _figures(results, row, problems), *_classes(row)) for row in supervised),
                few_shot=shots_figure(_curves([row for row in own if not row.supervised])),
                rows=own,
                metrics=_metrics(supervised),
            )
        )
    return tuple(parts), tuple(problems)


def _figures(results: Results, row: Row, problems: list[str]) -> tuple[Figure, ...]:
    tests: list[OneVsRest] = []
    for run in row.runs:
        path = results.path_of(run)
        found = read_one_vs_rest(path, run)
        if isinstance(found, str):
            problems.append(f"{path.parent.relative_to(results.out).as_posix()}/{found}")
        else:
            tests.append(found)
    trainings = [
        Training(run.seed, run.training.history, run.training.best_epoch, run.training.chosen_by)
        for run in row.runs
        if run.training is not None
    ]
    figures = [
        roc_figure(tests) if tests else None,
        class_figure([run.test for run in row.runs]),
        reliability_figure(tests, row.mean("expected_calibration_error")) if tests else None,
        learning_figure(trainings),
    ]
    return tuple(figure for figure in figures if figure is not None)


def _curves(rows: Sequence[Row]) -> list[Shots]:
    groups: dict[str, list[tuple[int, float, float | None]]] = {}
    backbones = {row.backbone for row in rows}
    for row in rows:
        named = [row.method, row.weights, row.backbone if len(backbones) > 1 else "", row.apart]
        points = groups.setdefault(", ".join(part for part in named if part), [])
        if row.auroc is not None and row.shots:
            points.append((row.shots, row.auroc, row.half_width("auroc")))
    return [Shots(name, tuple(sorted(points))) for name, points in groups.items()]


def _metrics(rows: Sequence[Row]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Return every figure of a whole task that any row has."""
    known = [name for name in FIGURES if any(row.mean(name) is not None for row in rows)]
    return tuple((FIGURES[name], tuple(_shown(row, name) for row in rows)) for name in known)


def _shown(row: Row, name: str) -> str:
    mean, bounds = row.mean(name), row.bounds(name)
    if mean is None:
        return DASH
    return f"{mean:.3f}" if bounds is None else f"{mean:.3f} ({bounds[0]:.3f} to {bounds[1]:.3f})"


def _classes(row: Row) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    """Return heads and lines of the table of classes: means over seeds, and the widest intervals."""
    found = [run.test.get("per_class") or {} for run in row.runs]
    columns = [name for name in OF_CLASSES if any(name in each for classes in found for each in classes.values())]
    lines = []
    for name in found[0]:
        own = [classes.get(name) or {} for classes in found]
        lines.append((name, f"{own[0].get('positives') or 0:,}", *(_class_figure(own, column) for column in columns)))
    return ("class", "positives", *(OF_CLASSES[column] for column in columns)), tuple(lines)


def _class_figure(own: Sequence[Mapping[str, Any]], name: str) -> str:
    values = [each[name] for each in own if each.get(name) is not None]
    bounds = [bound for each in own for bound in each.get(f"{name}_interval") or ()]
    if not values:
        return DASH
    return f"{fmean(values):.3f}" + (f" ({min(bounds):.3f} to {max(bounds):.3f})" if bounds else "")
