"""Numbers that people give, and what they may be: the same number has the same bounds wherever it is given."""

from __future__ import annotations

import math
import operator
from dataclasses import dataclass
from typing import Any

from medimeta.errors import UsageError

SHOWN = 60  # characters of a wrong value in a message


@dataclass(frozen=True)
class Bounds:
    """What a number may be: from `least` to `most`; `above` leaves out the bound itself.

    Examples
    --------
    >>> str(COUNT), 64 in COUNT, 10**23 in COUNT, float("nan") in COUNT
    ('from 1 to 1,000,000', True, False, False)
    >>> str(Bounds(above=0))
    'above 0'
    """

    least: float = -math.inf
    most: float = math.inf
    above: float = -math.inf

    def __contains__(self, value: float) -> bool:
        return self.least <= value <= self.most and self.above < value < math.inf

    def __str__(self) -> str:
        if self.most < math.inf:
            low = (
                f"above {_plain(self.above)} and at most" if self.above > -math.inf else f"from {_plain(self.least)} to"
            )
            return f"{low} {_plain(self.most)}"
        return f"above {_plain(self.above)}" if self.above > -math.inf else f"at least {_plain(self.least)}"


COUNT = Bounds(1, 1_000_000)
"""How often, or how many: epochs, steps, images of a batch, episodes. Nothing that ends in a lifetime needs more."""
POSITIVE = Bounds(above=0, most=1_000_000_000)
"""Rates and weights, which are computed with in float32."""
SEED = Bounds(0, 2**63 - 1)
"""Seeds: what every generator of NumPy and PyTorch takes, and what 64 bits hold."""
PARALLEL = Bounds(1, 1_024)
"""Threads, processes and devices of one machine."""


def whole_number(name: str, value: Any, bounds: Bounds, others: str = "") -> int:
    """Return a whole number within bounds, as int; `others` names what else the caller takes.

    Raises
    ------
    UsageError
        It is none: out of bounds, a fraction, a truth value, or something else.

    Examples
    --------
    >>> whole_number("batch_size", 64, COUNT)
    64
    >>> whole_number("batch_size", 10**23, COUNT)
    Traceback (most recent call last):
    ...
    medimeta.errors.UsageError: batch_size must be a whole number from 1 to 1,000,000, got 100000000000000000000000.
    """
    number: int | None
    try:
        number = None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = None
    if number is None or number not in bounds:
        raise UsageError(f"{name} must be a whole number {bounds}{others}, got {shown(value)}.")
    return number


def shown(value: Any) -> str:
    """Return a value as a message shows it: Python refuses to write numbers of thousands of digits.

    Examples
    --------
    >>> shown(-1), shown(10**5000)
    ('-1', 'a value too long to be shown')
    >>> shown("x" * 100)
    "'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx..."
    """
    try:
        text = repr(value)
    except ValueError:
        return "a value too long to be shown"
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def _plain(number: float) -> str:
    return f"{number:,}" if isinstance(number, int) else f"{number:g}"
