"""A small plot for a line of a table: AUROC as a dot, its interval as a line, the paper's figure as a diamond."""

from __future__ import annotations

import math
from collections.abc import Sequence

from medimeta.benchmark.report.plot import Axis, Panel, svg
from medimeta.benchmark.rows import Row

WIDTH, HEIGHT = 150, 20


def strip_axis(rows: Sequence[Row]) -> Axis:
    """Return the axis that all strips of a table share: from chance, or lower where a figure is."""
    values = [row.auroc for row in rows if row.auroc is not None]
    values += [row.interval[0] for row in rows if row.interval is not None]
    low = min(0.5, math.floor(min(values, default=0.5) * 10) / 10)
    return Axis(max(0.0, low), 1.0, [])


def strip(row: Row, axis: Axis) -> str:
    """Draw one row; empty where it has no AUROC."""
    if row.auroc is None:
        return ""
    panel = Panel(6, 0, WIDTH - 12, HEIGHT, axis, Axis(0, 1, []))
    panel.line([axis.low, axis.high], [0.5, 0.5], "rail")
    told = f"AUROC {100 * row.auroc:.1f}"
    if row.interval is not None:
        low, high = (min(max(bound, axis.low), axis.high) for bound in row.interval)
        panel.line([low, high], [0.5, 0.5], "range")
        told += f", from {100 * row.interval[0]:.1f} to {100 * row.interval[1]:.1f}"
    if row.paper is not None:
        x, y = panel.across(row.paper), panel.down(0.5)
        panel.marks.append(f'<path class="diamond" d="M{x - 5:.1f} {y:.1f}l5 -5 5 5 -5 5z"/>')
        told += f"; paper {100 * row.paper:.1f}"
    panel.dot(row.auroc, 0.5, "fill c0", radius=4)
    return svg(HEIGHT, told, "".join(panel.marks), width=WIDTH)
