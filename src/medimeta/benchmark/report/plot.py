"""Plots as SVG text: axes, lines and marks in CSS pixels, coloured by classes that the page's style sheet defines.

Written by hand rather than by a plotting library: text stays text, one page serves light and dark, a figure has a few
kilobytes, and its bytes depend on nothing but the figures in it.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

WIDTH = 280  # of every figure: four stand beside each other on a desktop, one on a phone
TOLERANCE = 0.2  # pixels by which a simplified line may depart from the whole one
COLOURS = 6  # series colours of the style sheet, c0 to c5
DASHES = 4  # dash patterns, d0 to d3


@dataclass(frozen=True)
class Axis:
    """A linear axis: its range, the values that are marked with their texts, and what it shows."""

    low: float
    high: float
    ticks: Sequence[tuple[float, str]]
    label: str = ""


@dataclass(frozen=True)
class Entry:
    """One line of a legend: style classes of its mark, a name, and a figure."""

    style: str
    name: str
    value: str = ""
    mark: str = "line"


@dataclass(frozen=True)
class Figure:
    """A plot with all that stands around it on the page."""

    title: str
    svg: str
    caption: str
    legend: Sequence[Entry] = ()


@dataclass
class Panel:
    """A rectangle with two axes, in which data are drawn.

    Attributes
    ----------
    left, top, width, height : float
        The rectangle, in pixels of the figure.
    x, y : Axis
        What its sides show.
    """

    left: float
    top: float
    width: float
    height: float
    x: Axis
    y: Axis
    marks: list[str] = field(default_factory=list)

    def across(self, value: float) -> float:
        """Return the horizontal place of a value, in pixels."""
        return self.left + self.width * (value - self.x.low) / (self.x.high - self.x.low)

    def down(self, value: float) -> float:
        """Return the vertical place of a value, in pixels."""
        return self.top + self.height * (self.y.high - value) / (self.y.high - self.y.low)

    def line(self, xs: Sequence[float] | Floats, ys: Sequence[float] | Floats, style: str, title: str = "") -> None:
        """Draw a line through points."""
        points = self._places(xs, ys)
        if len(points):
            self.marks.append(f'<path class="line {style}" d="{path_data(simplified(points))}">{_title(title)}</path>')

    def band(self, xs: Sequence[float], lows: Sequence[float], highs: Sequence[float], style: str) -> None:
        """Fill what lies between two lines over the same places."""
        points = np.concatenate([self._places(xs, highs), self._places(xs, lows)[::-1]])
        self.marks.append(f'<path class="band {style}" d="{path_data(points)}Z"/>')

    def bar(self, x0: float, y0: float, x1: float, y1: float, style: str, title: str = "") -> None:
        """Fill a rectangle between two corners."""
        lefts, tops = sorted((self.across(x0), self.across(x1))), sorted((self.down(y0), self.down(y1)))
        self.marks.append(
            f'<rect class="{style}" x="{_number(lefts[0])}" y="{_number(tops[0])}" '
            f'width="{_number(lefts[1] - lefts[0])}" height="{_number(tops[1] - tops[0])}">{_title(title)}</rect>'
        )

    def dot(self, x: float, y: float, style: str, title: str = "", *, radius: float = 3.5) -> None:
        """Draw a point."""
        self.marks.append(
            f'<circle class="{style}" cx="{_number(self.across(x))}" cy="{_number(self.down(y))}" '
            f'r="{_number(radius)}">{_title(title)}</circle>'
        )

    def text(self, x: float, y: float, words: str, style: str = "tick", *, raised: float = 0) -> None:
        """Write words at a place, lifted by some pixels."""
        self.marks.append(text(self.across(x), self.down(y) - raised, words, style))

    def drawn(self) -> str:
        """Return the panel: grid, data, and what the axes say."""
        left, right = self.left, self.left + self.width
        top, bottom = self.top, self.top + self.height
        grid = "".join(
            [f"M{_number(left)} {_number(self.down(value))}H{_number(right)}" for value, _ in self.y.ticks]
            + [f"M{_number(self.across(value))} {_number(top)}V{_number(bottom)}" for value, _ in self.x.ticks]
        )
        words = [text(left - 6, self.down(value) + 3.5, word, "tick end") for value, word in self.y.ticks if word]
        words += [text(self.across(value), bottom + 15, word, "tick middle") for value, word in self.x.ticks if word]
        if self.y.label:  # above the axis, not turned: it reads more easily and takes no width
            words.append(text(0, top - 9, self.y.label, "axis"))
        if self.x.label:
            words.append(text(right, bottom + 31, self.x.label, "axis end"))
        return f'<path class="grid" d="{grid}"/>{"".join(self.marks)}{"".join(words)}'

    def _places(self, xs: Sequence[float] | Floats, ys: Sequence[float] | Floats) -> Floats:
        points = np.stack([np.asarray(xs, dtype=np.float64), np.asarray(ys, dtype=np.float64)], axis=1)
        points = points[np.isfinite(points).all(axis=1)]
        scale = np.array([self.width / (self.x.high - self.x.low), -self.height / (self.y.high - self.y.low)])
        placed: Floats = (points - [self.x.low, self.y.high]) * scale + [self.left, self.top]
        return placed


def svg(height: float, title: str, *drawn: str, width: float = WIDTH) -> str:
    """Return a figure that scales with its box; the title is what a screen reader says."""
    return (
        f'<svg viewBox="0 0 {_number(width)} {_number(height)}" role="img" aria-label="{escape(title)}">'
        f"{_title(title)}{''.join(drawn)}</svg>"
    )


def text(x: float, y: float, words: str, style: str) -> str:
    """Return words at a place in pixels; style ``end`` or ``middle`` says which part of them is there."""
    return f'<text class="{style}" x="{_number(x)}" y="{_number(y)}">{escape(words)}</text>'


def series_style(index: int) -> str:
    """Return colour and dashes of a series: neighbours differ in both, so that colour is never all there is.

    Examples
    --------
    >>> series_style(0), series_style(1), series_style(7)
    ('c0 d0', 'c1 d1', 'c1 d0')
    """
    return f"c{index % COLOURS} d{(index + index // COLOURS) % DASHES}"


def wrapped(words: str, letters: int, lines: int = 2) -> list[str]:
    """Break words into lines; what does not fit into the last is cut.

    Examples
    --------
    >>> wrapped("Benign keratosis (solar lentigo / seborrheic keratosis)", 20)
    ['Benign keratosis', '(solar lentigo /…']
    """
    found = textwrap.wrap(words, letters, break_long_words=True) or [words]
    if len(found) > lines:
        found = [*found[: lines - 1], f"{found[lines - 1][: letters - 1].rstrip()}…"]
    return found


def share_axis(label: str, *, low: float = 0.0, high: float = 1.0) -> Axis:
    """Return an axis of fractions, marked in steps that suit its range."""
    step = 0.25 if high - low > 0.5 else 0.1 if high - low > 0.2 else 0.05
    count = round((high - low) / step)
    values = [round(low + number * step, 4) for number in range(count + 1)]
    return Axis(low, high, [(value, f"{value:g}") for value in values], label)


def fitted_share_axis(label: str, values: Sequence[float]) -> Axis:
    """Return an axis of fractions that holds the values, from a round one below them up to a round one above."""
    low, high = min(values, default=0.0), max(values, default=1.0)
    step = 0.25 if high - low > 0.45 else 0.1 if high - low > 0.12 else 0.05
    first = max(0.0, math.floor(low / step + 1e-9) * step)
    last = min(1.0, max(math.ceil(high / step - 1e-9) * step, first + 2 * step))
    return share_axis(label, low=round(min(first, last - 2 * step), 4), high=round(last, 4))


def fitted_axis(label: str, values: Sequence[float]) -> Axis:
    """Return an axis from 0 that holds the values, marked in steps of 1, 2 or 5 times a power of ten."""
    high = max(values, default=1.0) or 1.0
    step = _round_step(high / 4)
    count = max(1, math.ceil(high / step - 1e-9))
    return Axis(0.0, count * step, [(number * step, f"{number * step:.10g}") for number in range(count + 1)], label)


def counting_axis(label: str, last: int) -> Axis:
    """Return an axis of whole numbers from 1."""
    step = max(1, round(_round_step(last / 5)))
    values = [1, *range(step if step > 1 else 2, last + 1, step)]
    return Axis(1 - 0.02 * max(1, last - 1), max(last, 1.5), [(value, str(value)) for value in values], label)


def simplified(points: Floats, tolerance: float = TOLERANCE) -> Floats:
    """Drop the points that the line through the others passes by within `tolerance` pixels.

    The method of Ramer (1972) and of Douglas and Peucker (1973).

    Parameters
    ----------
    points : ndarray of float, shape (N, 2)
        In pixels.
    tolerance : float
        Largest distance in pixels of a dropped point from the line that is drawn.

    Returns
    -------
    ndarray of float, shape (M, 2)
        Some of the points, the first and the last among them.
    """
    kept = np.zeros(len(points), dtype=bool)
    kept[[0, -1]] = True
    spans = [(0, len(points) - 1)]
    while spans:
        first, last = spans.pop()
        if last - first < 2:
            continue
        along = points[last] - points[first]
        inner = points[first + 1 : last] - points[first]
        length = float(along @ along)
        # Distance from the stretch, not from the endless line: a spike beyond its end must not be lost.
        share = np.clip(inner @ along / length, 0, 1) if length else np.zeros(len(inner))
        distances = np.hypot(*(inner - share[:, None] * along).T)
        farthest = int(distances.argmax())
        if distances[farthest] > tolerance:
            middle = first + 1 + farthest
            kept[middle] = True
            spans += [(first, middle), (middle, last)]
    return points[kept]


def path_data(points: Floats) -> str:
    """Return points as the data of a path: a move, then steps in tenths of a pixel."""
    tenths = np.round(points * 10).astype(np.int64)
    steps = np.diff(tenths, axis=0)
    steps = steps[steps.any(axis=1)]
    start = f"M{_number(tenths[0, 0] / 10)} {_number(tenths[0, 1] / 10)}"
    if not len(steps):
        return f"{start}h0"  # with round caps, a dot
    return start + "l" + " ".join(f"{_number(x / 10)} {_number(y / 10)}" for x, y in steps.tolist())


def _round_step(rough: float) -> float:
    power = 10.0 ** math.floor(math.log10(rough))
    return float(next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9)))


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0").replace("-0.0", "0") if abs(value) >= 0.05 else "0"


def _title(words: str) -> str:
    return f"<title>{escape(words)}</title>" if words else ""
