"""Reliability diagrams: how often a prediction is right, by how sure the model is of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from medimeta.benchmark.report.plot import WIDTH, Axis, Entry, Figure, Floats, Panel, share_axis, svg
from medimeta.benchmark.results import OneVsRest
from medimeta.learning.metrics.calibration import BINS, Calibration


def confidences(test: OneVsRest) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Return what a model claims, and what came true.

    One of several classes: the probability of the predicted class, and whether it was right (Guo et al. 2017). Binary
    and multi-label: the probability of each label, and whether it was there.
    """
    if not test.exclusive:
        return test.scores.ravel(), test.positive.ravel()
    rows, best = np.arange(len(test.scores)), test.scores.argmax(axis=1)
    return test.scores[rows, best], test.positive[rows, best]


def reliability_figure(tests: Sequence[OneVsRest], error: float | None) -> Figure:
    """Draw the diagram of one model on the test split; the predictions of all seeds together.

    Parameters
    ----------
    tests : sequence of OneVsRest
        One for each seed.
    error : float or None
        Expected calibration error as recorded, the mean over seeds.
    """
    pairs = [confidences(test) for test in tests]
    sure, right = np.concatenate([pair[0] for pair in pairs]), np.concatenate([pair[1] for pair in pairs])
    found = Calibration(sure, right).reliability()
    share = found.samples / found.samples.sum()
    claim = "confidence" if tests[0].exclusive else "predicted probability"
    truth = "share of right predictions" if tests[0].exclusive else "share of positives"
    side = WIDTH - 46
    above = Panel(34, 26, side, side - 52, Axis(0, 1, [(tick / 4, "") for tick in range(5)]), share_axis(truth))
    below = Panel(34, side - 14, side, 40, share_axis(claim), Axis(0, 1, []))
    for claimed, true, part in zip(found.confidence, found.right, share, strict=True):
        left = min(int(claimed * BINS + 1e-9), BINS - 1) / BINS
        edges = left + 0.006, left + 1 / BINS - 0.006
        told = f"{claim} {claimed:.2f}, {truth} {true:.2f}, {100 * part:.1f} % of predictions"
        above.bar(edges[0], 0, edges[1], true, "fill c0", told)
        above.bar(edges[0], claimed, edges[1], true, "gap")
        below.bar(edges[0], 0, edges[1], part / share.max(), "count", told)
    above.line([0, 1], [0, 1], "chance")
    caption = (
        "Bars up to the diagonal mean that the model is as sure as it may be; lower ones, that it is too sure. "
        "Outlined: the gap, whose mean over predictions is the expected calibration error."
    )
    several = [f"all {len(tests[0].names)} labels"] if not tests[0].exclusive and len(tests[0].names) > 1 else []
    several += [f"{len(tests)} seeds"] if len(tests) > 1 else []
    if several:
        caption += f" Predictions of {' and of '.join(several)} together; the error is the mean over them."
    legend = [Entry("fill c0", truth, mark="box")]
    legend.append(Entry("gap", "gap; expected calibration error", "" if error is None else f"{error:.3f}", mark="box"))
    legend.append(Entry("count", f"share of predictions, up to {100 * share.max():.0f} %", mark="box"))
    title = "Reliability diagram" + ("" if error is None else f", expected calibration error {error:.3f}")
    return Figure("Reliability", svg(WIDTH + 16, title, above.drawn(), below.drawn()), caption, legend)
