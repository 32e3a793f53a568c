"""Division and means where not everything is defined."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Weights = npt.NDArray[np.int32]
"""How often each sample counts, ``(R, N)``: R resamples of N samples. Sums of whole numbers are exact, and fast."""


def ratio(above: Floats, below: Floats) -> Floats:
    """Divide; NaN where there is nothing to divide by.

    Examples
    --------
    >>> ratio(np.array([1.0, 0.0]), np.array([2.0, 0.0]))
    array([0.5, nan])
    """
    found: Floats = np.divide(above, below, out=np.full(above.shape, np.nan), where=below > 0)
    return found


def mean_of_defined(values: Floats) -> Floats:
    """Average the last axis over what is not NaN; NaN where nothing is.

    Examples
    --------
    >>> mean_of_defined(np.array([[0.2, np.nan], [np.nan, np.nan]]))
    array([0.2, nan])
    """
    defined = ~np.isnan(values)
    return ratio(np.where(defined, values, 0.0).sum(axis=-1), defined.sum(axis=-1).astype(np.float64))


def macro(areas: Floats, rule: str) -> Floats:
    """Average over classes by a rule for absent ones.

    Parameters
    ----------
    areas : ndarray of float64, shape (R, classes)
        NaN for absent classes.
    rule : {"skip", "zero"}
        Whether these are left out, or count 0.

    Examples
    --------
    >>> areas = np.array([[0.8, np.nan]])
    >>> macro(areas, "skip"), macro(areas, "zero")
    (array([0.8]), array([0.4]))
    """
    if rule == "skip":
        return mean_of_defined(areas)
    mean: Floats = np.nan_to_num(areas).mean(axis=1)
    return mean
