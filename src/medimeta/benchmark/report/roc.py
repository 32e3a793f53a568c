"""ROC curves: every class against the rest, every seed a line."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

import numpy as np
import numpy.typing as npt

from medimeta.benchmark.report.plot import WIDTH, Entry, Figure, Floats, Panel, series_style, share_axis, svg
from medimeta.benchmark.results import OneVsRest

COLOURED_CLASSES = 6  # more lines in colour than this cannot be told apart
GRID = np.linspace(0, 1, 201)  # false positive rates at which curves are averaged


def roc_curve(positive: npt.NDArray[np.bool_], scores: Floats) -> tuple[Floats, Floats]:
    """Return false and true positive rates at every threshold, from none positive to all (Fawcett 2006, algorithm 1).

    Parameters
    ----------
    positive : ndarray of bool, shape (N,)
        Which samples are positive; some must be, and some not.
    scores : ndarray of float, shape (N,)
        Higher means more positive.

    Returns
    -------
    tuple of ndarray of float, shape (T + 1,)
        T distinct scores; both rise from 0 to 1.

    Examples
    --------
    >>> roc_curve(np.array([True, False, True]), np.array([0.9, 0.5, 0.5]))
    (array([0., 0., 1.]), array([0. , 0.5, 1. ]))
    """
    order = np.argsort(-scores, kind="stable")
    descending, hits = scores[order], positive[order]
    last_of_ties = np.flatnonzero(np.r_[descending[1:] != descending[:-1], True])
    true = np.r_[0, np.cumsum(hits)[last_of_ties]]
    false = np.r_[0, np.cumsum(~hits)[last_of_ties]]
    return false / false[-1], true / true[-1]


def roc_figure(tests: Sequence[OneVsRest]) -> Figure | None:
    """Draw the curves of one model on the test split; None where no class has both positives and negatives.

    Parameters
    ----------
    tests : sequence of OneVsRest
        One for each seed.
    """
    names = tests[0].names
    curves = {
        name: [roc_curve(test.positive[:, column], test.scores[:, column]) for test in tests if test.defined(column)]
        for column, name in enumerate(names)
    }
    curves = {name: lines for name, lines in curves.items() if lines}
    if not curves:
        return None
    panel = Panel(34, 26, WIDTH - 46, WIDTH - 46, share_axis("false positive rate"), share_axis("true positive rate"))
    panel.line([0, 1], [0, 1], "chance")
    areas = {name: fmean(_area(*line) for line in lines) for name, lines in curves.items()}
    legend = _each(panel, curves, areas) if len(curves) <= COLOURED_CLASSES else _many(panel, curves, areas)
    legend.append(Entry("chance", "chance", "0.500"))
    seeds = f" Lines of one style are the {len(tests)} seeds; the figure is their mean." if len(tests) > 1 else ""
    absent = [name for name in names if name not in curves]
    missing = f" Without positives or without negatives, and so without a curve: {', '.join(absent)}." if absent else ""
    which = "" if len(names) == 1 else "Each class against the rest. "
    caption = (
        f"{which}The further a curve bends to the upper left, the better positives are told from negatives; the number "
        f"is the area under it.{seeds}{missing}"
    )
    title = f"ROC curves of {len(curves)} classes" if len(names) > 1 else f"ROC curve of {names[0]}"
    return Figure("ROC curves", svg(WIDTH + 16, title, panel.drawn()), caption, legend)


Curves = dict[str, list[tuple[Floats, Floats]]]


def _each(panel: Panel, curves: Curves, areas: dict[str, float]) -> list[Entry]:
    legend = []
    for index, (name, lines) in enumerate(curves.items()):
        style = series_style(index)
        for line in lines:
            panel.line(*line, f"{style} s{index}", f"{name}: {_area(*line):.3f}")
        legend.append(Entry(f"{style} s{index}", name, f"{areas[name]:.3f}"))
    return legend


def _many(panel: Panel, curves: Curves, areas: dict[str, float]) -> list[Entry]:
    """Draw all in grey but their mean, the highest and the lowest."""
    highest, lowest = max(areas, key=areas.__getitem__), min(areas, key=areas.__getitem__)
    for name, lines in curves.items():
        for line in lines if name not in (highest, lowest) else []:
            panel.line(*line, "faint", f"{name}: {_area(*line):.3f}")
    for index, name in ((2, lowest), (1, highest)):
        for line in curves[name]:
            panel.line(*line, series_style(index), f"{name}: {_area(*line):.3f}")
    lines = [line for each in curves.values() for line in each]
    panel.line(GRID, np.mean([np.interp(GRID, *line) for line in lines], axis=0), "c0 d0 strong", "mean of the classes")
    return [
        Entry("c0 d0 strong", "mean of the classes", f"{fmean(areas.values()):.3f}"),
        Entry(series_style(1), f"highest: {highest}", f"{areas[highest]:.3f}"),
        Entry(series_style(2), f"lowest: {lowest}", f"{areas[lowest]:.3f}"),
        Entry("faint", f"the other {len(curves) - 2} classes"),
    ]


def _area(false: Floats, true: Floats) -> float:
    return float(np.trapezoid(true, false))
