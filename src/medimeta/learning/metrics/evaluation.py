"""Evaluate scores of a task: ranking, decisions and calibration, each with a bootstrap interval.

Definitions are those of the release's validation: binary, the ROC area of the score; multi-class and ordinal, the macro
mean of one-vs-rest areas (ordinal grades by their ascending index); multi-label, the macro mean over labels. What else
there is follows scikit-learn; ``docs/metrics.md`` says what each figure is.
"""

from __future__ import annotations

import math
from typing import Any, get_args

import numpy as np
import numpy.typing as npt

from medimeta.catalogue.catalogue import task_card
from medimeta.catalogue.schema import TaskCard, TaskTarget
from medimeta.learning.metrics.arithmetic import Floats, macro
from medimeta.learning.metrics.bootstrap import Groups, Units, interval
from medimeta.learning.metrics.checks import Checked, Options, check
from medimeta.learning.metrics.figures import PER_CLASS, Figures, Prepared, members, one_of_several, resampled
from medimeta.learning.metrics.ranking import Ranking
from medimeta.learning.metrics.scores import FIGURES, AbsentRule, ClassScores, Scores
from medimeta.store.table import class_indices


def evaluate(
    task: TaskCard | str,
    labels: npt.ArrayLike,
    scores: npt.ArrayLike,
    *,
    absent: AbsentRule = "skip",
    resamples: int = 1000,
    confidence: float = 0.95,
    groups: Groups | None = None,
    seed: int = 0,
    one_vs_rest: bool = False,
) -> Scores:
    """Evaluate scores of a task.

    Parameters
    ----------
    task : TaskCard or str
        The task, or its name in the catalogue.
    labels : array of int, shape (N,) or (N, L)
        Labels as stored.
    scores : array of float, shape (N,), (N, K) or (N, L)
        Probabilities: binary, of class 1, shape ``(N,)`` or ``(N, 1)``; else one column per label. Those of several
        classes or grades sum to 1.
    absent : {"skip", "zero"}
        Whether a class without positives or negatives is left out of the mean, or counts 0.
    resamples : int
        Bootstrap resamples; 0 makes no intervals.
    confidence : float
        Level of the intervals.
    groups : sequence, optional
        Patient of each sample; then patients are drawn, not samples. None and NaN are each a patient of its own.
    seed : int
        Seed of the resampling.
    one_vs_rest : bool
        Whether the scores of several classes are those of each against the rest, as of a sigmoid for each: then they
        need not sum to 1.

    Returns
    -------
    Scores
        The figures.

    Raises
    ------
    UnknownNameError
        There is no such task.
    MetricError
        Labels and scores do not fit the task or each other; every problem is listed.

    Examples
    --------
    >>> result = evaluate("bus/malignancy", [0, 0, 1, 1], [0.1, 0.6, 0.4, 0.9], resamples=200)
    >>> result.auroc, result.accuracy, result.per_class["malignant finding"].recall
    (0.75, 0.5, 0.5)
    """
    card = task_card(task)
    options = Options(absent, resamples, confidence, seed, one_vs_rest)
    checked = check(card, labels, {"scores": scores}, groups, options)
    [result] = scored(card, checked, options)[0]
    return result


def scored(card: TaskCard, checked: Checked, options: Options) -> tuple[list[Scores], list[Figures], list[Figures]]:
    """Evaluate one or several models over the same resamples.

    Returns
    -------
    list of Scores, list of dict, list of dict
        For each model, the result, and the figures behind it: of the samples, and of the resamples.
    """
    known, scores, groups = checked
    models = [Prepared(card, known, each) for each in scores]
    once = [macros(model.once()) for model in models]
    drawn = [{name: values[:0] for name, values in each.items()} for each in once]
    units = Units(len(known), members(card, known), groups)
    if options.resamples:
        drawn = [macros(each) for each in resampled(models, units, len(known), options.resamples, options.seed)]
    groups_drawn = None if groups is None else units.count
    results = [
        _result(card, own, each, options, len(known), groups_drawn, models[0].positives())
        for own, each in zip(once, drawn, strict=True)
    ]
    return results, once, drawn


def macros(figures: Figures) -> Figures:
    """Add the means over classes by either rule, as ``<rule> auroc`` and ``<rule> average_precision``."""
    means = {
        f"{rule} {name}": macro(figures[name], rule)
        for rule in get_args(AbsentRule)
        for name in ("auroc", "average_precision")
    }
    return figures | means


def name_of_figure(name: str, absent: AbsentRule) -> str:
    """Return the key under which `macros` keeps a figure of the whole task."""
    return f"{absent} {name}" if name in PER_CLASS else name


def class_names(card: TaskCard) -> tuple[str, ...]:
    """Return the names of the classes that have figures of their own: of a binary task, the positive one."""
    return card.classes[1:] if card.target is TaskTarget.BINARY else card.classes


def macro_auroc(card: TaskCard, labels: npt.NDArray[np.int64], scores: Floats) -> float:
    """Return the AUROC alone, absent classes skipped; NaN where no class has both positives and negatives."""
    known = class_indices(card, labels)
    columns = scores.reshape(len(known), -1)
    places = np.arange(columns.shape[1])
    positive = known[:, None] == places if one_of_several(card) else known.reshape(columns.shape) == 1
    once = np.ones((1, len(known)), dtype=np.int32)
    areas = [Ranking(positive[:, place], columns[:, place]).areas(once)[0] for place in places]
    return float(macro(np.stack(areas, axis=1), "skip")[0])


def _result(
    card: TaskCard,
    own: Figures,
    drawn: Figures,
    options: Options,
    samples: int,
    groups: int | None,
    positives: list[int],
) -> Scores:
    whole: dict[str, Any] = {}
    for name in FIGURES:
        key = name_of_figure(name, options.absent)
        if key in own:
            whole[name] = _defined(own[key][0])
            whole[f"{name}_interval"] = interval(drawn[key], options.confidence)
    per_class = {}
    for place, (label, count) in enumerate(zip(class_names(card), positives, strict=True)):
        figures: dict[str, Any] = {}
        for name in PER_CLASS:
            figures[name] = _defined(own[name][0, place])
            bounds = interval(drawn[name][:, place], options.confidence)
            figures[f"{name}_interval"] = None if figures[name] is None else bounds
        per_class[label] = ClassScores(positives=count, negatives=samples - count, **figures)
    for name in ("auroc", "average_precision"):
        whole[f"{name}_by_rule"] = {rule: _defined(own[f"{rule} {name}"][0]) for rule in get_args(AbsentRule)}
    return Scores(
        task=card.id,
        samples=samples,
        absent=options.absent,
        per_class=per_class,
        absent_classes=tuple(name for name, result in per_class.items() if result.auroc is None),
        confidence=options.confidence,
        resamples=options.resamples,
        groups=groups,
        seed=options.seed,
        **whole,
    )


def _defined(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
