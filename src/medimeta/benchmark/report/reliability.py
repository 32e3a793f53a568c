"""Reliability diagrams: how often a prediction is right, by how sure the model is of it."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

import numpy as np

from medimeta.benchmark.report.plot import WIDTH, Axis, Entry, Figure, Floats, Panel, share_axis, svg
from medimeta.benchmark.results import Tested

BINS = 15


def confidences(test: Tested) -> tuple[Floats, Floats]:
    """Return what a model claims, and what came true.

    One of several classes: the probability of the predicted class, and whether it was right (Guo et al. 2017). Binary
    and multi-label: the probability of each label, and whether it was there.
    """
    if not test.exclusive:
        return test.scores.ravel(), test.positive.ravel().astype(np.float64)
    rows, best = np.arange(len(test.scores)), test.scores.argmax(axis=1)
    return test.scores[rows, best], test.positive[rows, best].astype(np.float64)


def binned(sure: Floats, right: Floats) -> tuple[Floats, Floats, Floats]:
    """Return mean claim, share that came true and share of the predictions, by bins of equal width; NaN where empty."""
    bins = np.minimum((sure * BINS).astype(np.int64), BINS - 1)
    counts = np.bincount(bins, minlength=BINS).astype(np.float64)
    with np.errstate(invalid="ignore"):
        claimed = np.bincount(bins, sure, BINS) / counts
        true = np.bincount(bins, right, BINS) / counts
    return claimed, true, counts / counts.sum()


def calibration_error(sure: Floats, right: Floats) -> float:
    """Return the expected calibration error: the mean gap of claim and truth (Guo et al. 2017, equation 3)."""
    claimed, true, share = binned(sure, right)
    return float(np.nansum(share * np.abs(claimed - true)))


def reliability_figure(tests: Sequence[Tested]) -> Figure:
    """Draw the diagram of one model on the test split; the predictions of all seeds together.

    Parameters
    ----------
    tests : sequence of Tested
        One for each seed.
    """
    pairs = [confidences(test) for test in tests]
    error = fmean(calibration_error(*pair) for pair in pairs)
    claimed, true, share = binned(*(np.concatenate(parts) for parts in zip(*pairs, strict=True)))
    claim = "confidence" if tests[0].exclusive else "predicted probability"
    truth = "share of right predictions" if tests[0].exclusive else "share of positives"
    side = WIDTH - 46
    above = Panel(34, 26, side, side - 52, Axis(0, 1, [(tick / 4, "") for tick in range(5)]), share_axis(truth))
    below = Panel(34, side - 14, side, 40, share_axis(claim), Axis(0, 1, []))
    highest = share.max()
    for number in range(BINS):
        left, right = number / BINS + 0.006, (number + 1) / BINS - 0.006
        if not share[number]:
            continue
        told = f"{claim} {claimed[number]:.2f}, {truth} {true[number]:.2f}, {100 * share[number]:.1f} % of predictions"
        above.bar(left, 0, right, true[number], "fill c0", told)
        above.bar(left, claimed[number], right, true[number], "gap")
        below.bar(left, 0, right, share[number] / highest, "count", told)
    above.line([0, 1], [0, 1], "chance")
    below.text(0.5, 1, f"share of predictions, up to {100 * highest:.0f} %", "tick middle", raised=-4)
    seeds = f", mean of {len(tests)} seeds" if len(tests) > 1 else ""
    caption = (
        "Bars up to the diagonal mean that the model is as sure as it may be; lower ones, that it is too sure. "
        "Outlined: the gap, whose mean over predictions is the expected calibration error."
    )
    legend = [
        Entry("fill c0", truth, mark="box"),
        Entry("gap", f"gap; expected calibration error{seeds}", f"{error:.3f}", mark="box"),
    ]
    drawing = svg(
        WIDTH + 16, f"Reliability diagram, expected calibration error {error:.3f}", above.drawn(), below.drawn()
    )
    return Figure("Reliability", drawing, caption, legend)
