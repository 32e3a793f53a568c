"""What labels and scores must be to be evaluated together; everything that is wrong is told at once."""

from __future__ import annotations

import numbers
from collections.abc import Callable
from typing import Any, NamedTuple, get_args

import numpy as np
import numpy.typing as npt

from medimeta._numbers import COUNT, SEED, Bounds, shown, whole_number
from medimeta.catalogue.schema import TaskCard, TaskTarget
from medimeta.errors import MetricError, UsageError, bullet_list
from medimeta.learning.metrics.arithmetic import Floats
from medimeta.learning.metrics.bootstrap import Groups, group_numbers
from medimeta.learning.metrics.figures import one_of_several
from medimeta.learning.metrics.scores import AbsentRule
from medimeta.store.table import LabelArray, class_indices

RESAMPLES = Bounds(0, COUNT.most)
ROUNDING = 1e-6
"""What a probability in float32 may be off 0..1."""
WRITTEN = 0.005
"""What each score of a row may miss: tables with two decimals round by so much. The rows of bfloat16 (off by 2**-8 of
their sum) and of float16 (2**-11) miss less."""


class Options(NamedTuple):
    """How figures are to be made."""

    absent: AbsentRule
    resamples: int
    confidence: float
    seed: int
    one_vs_rest: bool = False


class Checked(NamedTuple):
    """Labels, scores and groups that fit each other."""

    known: LabelArray
    scores: tuple[Floats, ...]
    groups: npt.NDArray[np.int64] | None


def check(
    card: TaskCard,
    labels: npt.ArrayLike,
    scores: dict[str, npt.ArrayLike],
    groups: Groups | None,
    options: Options,
) -> Checked:
    """Check labels, the scores of one or two models, and options.

    Parameters
    ----------
    card : TaskCard
        The task.
    labels : array of int
        As stored.
    scores : dict of str to array of float
        By what an error calls them.
    groups : sequence, optional
        Patient of each sample.
    options : Options
        The rest.

    Returns
    -------
    Checked
        Labels by the place of their class, scores as float64, and numbers of groups.

    Raises
    ------
    MetricError
        Anything of it is wrong.
    """
    problems = option_problems(options)
    known = np.asarray(_number_array("labels", labels, None, problems))
    count = len(known) if known.ndim else 0
    if count == 0:
        problems.append("there are no samples")
    problems += label_problems(card, known)
    predicted = []
    for name, values in scores.items():
        array = as_scores(card, _number_array(name, values, np.float64, problems))
        problems += score_problems(card, array, count, name, one_vs_rest=options.one_vs_rest)
        predicted.append(array)
    numbers = None
    if groups is not None and len(groups) != count:
        problems.append(f"groups must name one group a sample, got {len(groups)} for {count} samples")
    elif groups is not None:
        try:
            numbers = group_numbers(groups)
        except TypeError as error:
            problems.append(f"groups must be numbers or names ({error})")
    if problems:
        raise MetricError(f"{card.id}: cannot be evaluated:\n{bullet_list(problems)}")
    return Checked(class_indices(card, known.astype(np.int64)), tuple(predicted), numbers)


def option_problems(options: Options) -> list[str]:
    """Say what is wrong with options."""
    problems = []
    if options.absent not in get_args(AbsentRule):
        problems.append(f"absent must be 'skip' or 'zero', got {shown(options.absent)}")
    for name, bounds in (("resamples", RESAMPLES), ("seed", SEED)):
        try:
            whole_number(name, getattr(options, name), bounds)
        except UsageError as error:
            problems.append(str(error).rstrip("."))
    if not isinstance(options.confidence, numbers.Real) or not 0 < options.confidence < 1:
        problems.append(f"confidence must be a number between 0 and 1, got {shown(options.confidence)}")
    return problems


def label_problems(card: TaskCard, labels: npt.NDArray[Any]) -> list[str]:
    """Say what is wrong with labels."""
    count = len(labels) if labels.ndim else 0
    multilabel = card.target is TaskTarget.MULTILABEL
    shape = (count, len(card.labels)) if multilabel else (count,)
    if labels.shape != shape or labels.dtype.kind not in "iub":
        return [f"labels must be integers of shape {shape}, got {labels.dtype} {labels.shape}"]
    strange = np.setdiff1d(labels, [0, 1] if multilabel else card.keys)
    return [f"labels hold {strange[:10].tolist()}, which the task does not know"] if strange.size else []


def as_scores(card: TaskCard, scores: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Take the single column of binary scores for what it is."""
    single = card.target is TaskTarget.BINARY and scores.ndim == 2 and scores.shape[1] == 1
    return scores[:, 0] if single else scores


def score_problems(
    card: TaskCard,
    scores: npt.NDArray[Any],
    count: int,
    name: str = "scores",
    *,
    one_vs_rest: bool = False,
    row: Callable[[int], str] = "sample {}".format,
) -> list[str]:
    """Say what is wrong with the scores of `count` samples.

    Parameters
    ----------
    card : TaskCard
        The task.
    scores : ndarray
        The scores.
    count : int
        How many samples there are.
    name : str
        What the scores are called.
    one_vs_rest : bool
        Whether the scores of several classes are those of each against the rest, which need not sum to 1.
    row : callable
        What a sample is called, by its number from 0.
    """
    binary = card.target is TaskTarget.BINARY
    shape = (count,) if binary else (count, len(card.labels))
    if scores.shape != shape:
        hint = "; pass the column of class 1 alone" if binary and scores.shape == (count, 2) else ""
        return [f"{name} must have the shape {shape}, got {scores.shape}{hint}"]
    if not np.isfinite(scores).all():
        rows = np.flatnonzero(~np.isfinite(scores).reshape(count, -1).all(axis=1))
        return [f"{name} of {rows.size} samples are not finite, the first is sample {rows[0]}"]
    if scores.size and (scores.min() < -ROUNDING or scores.max() > 1 + ROUNDING):
        return [
            f"{name} must be probabilities in 0..1, got {scores.min():.4g} to {scores.max():.4g}; "
            f"apply the sigmoid or softmax to logits first"
        ]
    return [] if one_vs_rest or not one_of_several(card) else _sum_problems(scores, name, row)


def most_off(classes: int) -> float:
    """Return what the scores of a sample may miss 1 by in all; see `WRITTEN`.

    Examples
    --------
    >>> most_off(3)
    0.015
    """
    return WRITTEN * classes


def _sum_problems(scores: npt.NDArray[Any], name: str, row: Callable[[int], str]) -> list[str]:
    sums, most = scores.sum(axis=1), most_off(scores.shape[1])
    wrong = np.flatnonzero(np.abs(sums - 1) > most + ROUNDING)
    if not wrong.size:
        return []
    return [
        f"{name} of {wrong.size:,} samples do not sum to 1 over the classes, the first are those of {row(wrong[0])}: "
        f"expected 1 within {most:g}, got {sums[wrong[0]]:.4g}; apply the softmax to logits first. Scores of each "
        f"class against the rest need not sum to 1: pass one_vs_rest=True, or --one-vs-rest"
    ]


def _number_array(name: str, values: npt.ArrayLike, kind: Any, problems: list[str]) -> npt.NDArray[Any]:
    try:
        return np.asarray(values, dtype=kind)
    except (ValueError, TypeError, OverflowError) as error:
        problems.append(f"{name} must be an array of numbers ({error})")
        return np.empty(0, dtype=kind)
