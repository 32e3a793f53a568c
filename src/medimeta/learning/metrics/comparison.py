"""Compare two models on the same samples of a task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy.typing as npt

from medimeta.catalogue.catalogue import task_card
from medimeta.catalogue.schema import TaskCard
from medimeta.learning.metrics.arithmetic import Floats
from medimeta.learning.metrics.bootstrap import Groups, Interval, interval, p_value
from medimeta.learning.metrics.checks import Options, check
from medimeta.learning.metrics.evaluation import class_names, name_of_figure, scored
from medimeta.learning.metrics.scores import FIGURES, AbsentRule, Scores


@dataclass(frozen=True)
class Difference:
    """The first model's figure less the second's.

    Attributes
    ----------
    value : float or None
        None where a figure is not defined.
    interval : (float, float) or None
        Its bootstrap interval; None without resamples.
    p_value : float or None
        Two-sided, of there being no difference; None without resamples.
    """

    value: float | None
    interval: Interval | None
    p_value: float | None


@dataclass(frozen=True)
class Comparison:
    """Two models on the same samples.

    Attributes
    ----------
    first, second : Scores
        What each reaches.
    differences : mapping of str to Difference
        By the name of the figure, as in `Scores`.
    per_class : mapping of str to Difference
        Differences of the AUROC of each class.
    """

    first: Scores
    second: Scores
    differences: Mapping[str, Difference]
    per_class: Mapping[str, Difference]

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return asdict(self)


def compare(
    task: TaskCard | str,
    labels: npt.ArrayLike,
    first_scores: npt.ArrayLike,
    second_scores: npt.ArrayLike,
    *,
    absent: AbsentRule = "skip",
    resamples: int = 1000,
    confidence: float = 0.95,
    groups: Groups | None = None,
    seed: int = 0,
    one_vs_rest: bool = False,
) -> Comparison:
    """Compare the scores of two models by a paired bootstrap: both are evaluated on the same resamples.

    What makes a resample easy or hard is the same for both, so the interval of the difference is narrower than those of
    the models suggest. The p-value is twice the share of resamples beyond 0 (Davison and Hinkley 1997, Bootstrap
    Methods and their Application); with 1,000 resamples it is no smaller than 0.002.

    Parameters
    ----------
    task : TaskCard or str
        The task, or its name in the catalogue.
    labels : array of int, shape (N,) or (N, L)
        Labels as stored.
    first_scores, second_scores : array of float, shape (N,), (N, K) or (N, L)
        Probabilities of either model, as for `evaluate`.
    absent, resamples, confidence, groups, seed, one_vs_rest
        As for `evaluate`.

    Returns
    -------
    Comparison
        Both results, and the differences.

    Raises
    ------
    UnknownNameError
        There is no such task.
    MetricError
        Labels and scores do not fit the task or each other; every problem is listed.

    Examples
    --------
    >>> labels = [0, 0, 1, 1] * 10
    >>> found = compare("bus/malignancy", labels, [0.1, 0.2, 0.8, 0.9] * 10, [0.1, 0.6, 0.4, 0.9] * 10)
    >>> found.differences["auroc"].value, found.differences["auroc"].p_value < 0.05
    (0.25, True)
    """
    card = task_card(task)
    options = Options(absent, resamples, confidence, seed, one_vs_rest)
    models = {"first_scores": first_scores, "second_scores": second_scores}
    checked = check(card, labels, models, groups, options)
    [first, second], once, drawn = scored(card, checked, options)

    def difference(own: Floats, resampled: Floats) -> Difference:
        value = float(own[0])
        defined = value == value  # else NaN
        return Difference(
            value if defined else None,
            interval(resampled, confidence) if defined else None,
            p_value(resampled) if defined else None,
        )

    keys = {name: name_of_figure(name, absent) for name in FIGURES}
    own, resampled = ({key: values - pair[1][key] for key, values in pair[0].items()} for pair in (once, drawn))
    return Comparison(
        first,
        second,
        {name: difference(own[key], resampled[key]) for name, key in keys.items() if key in own},
        {
            label: difference(own["auroc"][:, place], resampled["auroc"][:, place])
            for place, label in enumerate(class_names(card))
        },
    )
