"""Few-shot curves: AUROC over the number of shots."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from medimeta.benchmark.report.plot import (
    Axis,
    Entry,
    Figure,
    Panel,
    fitted_share_axis,
    series_style,
    svg,
)

WIDTH = 360  # it stands alone


@dataclass(frozen=True)
class Shots:
    """One curve.

    Attributes
    ----------
    name : str
        Method, weights and backbone.
    points : sequence of (int, float, float or None)
        Shots, mean AUROC and 1.96 standard errors; ascending.
    """

    name: str
    points: Sequence[tuple[int, float, float | None]]


def shots_figure(curves: Sequence[Shots]) -> Figure | None:
    """Draw the few-shot results of one task; None where there are none."""
    curves = [curve for curve in curves if curve.points]
    if not curves:
        return None
    shots = sorted({point[0] for curve in curves for point in curve.points})
    bounds = [mean + sign * (half or 0) for curve in curves for _, mean, half in curve.points for sign in (-1, 1)]
    places = [math.log2(count) for count in shots]
    room = max(0.3, 0.08 * (places[-1] - places[0]))
    across = Axis(
        places[0] - room,
        places[-1] + room,
        [(place, str(count)) for place, count in zip(places, shots, strict=True)],
        "shots: images of each class to learn from",
    )
    panel = Panel(34, 26, WIDTH - 46, 220, across, fitted_share_axis("AUROC of the query sets", bounds))
    legend = []
    for index, curve in enumerate(curves):
        style = f"{series_style(index)} s{index}"
        xs, means = [math.log2(point[0]) for point in curve.points], [point[1] for point in curve.points]
        halves = [point[2] or 0.0 for point in curve.points]
        lows = [mean - half for mean, half in zip(means, halves, strict=True)]
        highs = [mean + half for mean, half in zip(means, halves, strict=True)]
        if len(xs) > 1:
            panel.band(xs, lows, highs, style)
        else:
            panel.line(xs * 2, [lows[0], highs[0]], f"thin {style}")
        panel.line(xs, means, style)
        for (count, mean, half), x in zip(curve.points, xs, strict=True):
            error = "" if half is None else f" ± {100 * half:.1f}"
            panel.dot(
                x, mean, f"fill {style}", f"{curve.name}, {count} shot{'s' * (count != 1)}: {100 * mean:.1f}{error}"
            )
        count, mean, half = curve.points[-1]
        legend.append(Entry(style, curve.name, f"{mean:.3f} at {count}"))
    caption = (
        "Mean over episodes; bands are 1.96 standard errors either way. The axis of shots is logarithmic. Where bands "
        "do not meet, the episodes tell the methods apart."
    )
    drawing = svg(
        288, f"AUROC over {', '.join(map(str, shots))} shots, {len(curves)} methods", panel.drawn(), width=WIDTH
    )
    return Figure("AUROC over shots", drawing, caption, legend)
