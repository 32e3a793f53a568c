"""The AUROC of every class, as bars from chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from medimeta.benchmark.report.plot import WIDTH, Axis, Figure, Panel, share_axis, svg, text, wrapped

LINE = 13  # pixels of a line of a name
ROW = 17  # pixels of a class besides its name
BAR = 8
LETTERS = 38  # of a line of a name, before its figure
CHANCE = 0.5


def class_figure(results: Sequence[Mapping[str, Any]]) -> Figure | None:
    """Draw the area of every class; None where no class has one.

    Parameters
    ----------
    results : sequence of mapping
        The scores of each seed, as records hold them.
    """
    classes = results[0].get("per_class") or {}
    rows = [(name, [result["per_class"].get(name) or {} for result in results]) for name in classes]
    values = [value for _, found in rows for each in found for value in (each.get("auroc"), *_interval(each))]
    known = [value for value in values if value is not None]
    if not known:
        return None
    low = CHANCE if min(known) >= CHANCE else 0.25 if min(known) >= 0.25 else 0.0
    axis = share_axis("area under the ROC curve", low=low)
    names = [wrapped(name, LETTERS) for name, _ in rows]
    heights = [ROW + LINE * len(name) for name in names]
    height = sum(heights)
    panel = Panel(12, 4, WIDTH - 18, height, axis, Axis(0, height, []))
    words: list[str] = []
    for index, ((name, found), lines) in enumerate(zip(rows, names, strict=True)):
        lower = height - sum(heights[: index + 1])
        words += _row(panel, lower, name, lines, found)
    spread = any(bound is not None for _, found in rows for each in found for bound in _interval(each))
    caption = "Bars begin at 0.5, which is chance."
    if len(results) > 1:
        caption += " The bar is the mean over seeds, dots are the seeds."
    if spread:
        caption += " Lines are 95 % bootstrap intervals" + (", the widest over seeds." if len(results) > 1 else ".")
    title = f"AUROC of {len(rows)} classes" if len(rows) > 1 else f"AUROC of {rows[0][0]}"
    return Figure("AUROC by class", svg(height + 38, title, panel.drawn(), *words), caption)


def _row(panel: Panel, lower: float, name: str, lines: Sequence[str], found: Sequence[Mapping[str, Any]]) -> list[str]:
    areas = [each["auroc"] for each in found if each.get("auroc") is not None]
    right, middle = panel.left + panel.width, lower + ROW - BAR / 2 - 3
    top = panel.down(lower + ROW + LINE * len(lines))
    words = [text(panel.left, top + LINE * (line + 1) - 2, part, "name") for line, part in enumerate(lines)]
    if not areas:
        return [*words, text(right, top + LINE - 2, "not defined", "tick end")]
    mean = fmean(areas)
    positives = found[0].get("positives")
    told = f"{name}: {mean:.3f}" + (f", {positives:,} positives" if positives is not None else "")
    panel.bar(CHANCE, middle + BAR / 2, mean, middle - BAR / 2, "fill c0", told)
    bounds = [bound for each in found for bound in _interval(each) if bound is not None]
    if bounds:
        panel.line([min(bounds), max(bounds)], [middle, middle], "whisker", f"{min(bounds):.3f} to {max(bounds):.3f}")
    for area in areas if len(areas) > 1 else []:
        panel.dot(area, middle, "seed", f"{area:.3f}", radius=2.2)
    return [*words, text(right, top + LINE - 2, f"{mean:.3f}", "name end")]


def _interval(each: Mapping[str, Any]) -> tuple[float | None, float | None]:
    low, high = each.get("auroc_interval") or (None, None)
    return low, high
