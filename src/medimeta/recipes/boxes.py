"""Cuts around boxes, as release 1.0 made them. Both ends of rows and columns are inside, here and in `ratio_box`."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import numpy.typing as npt

Box = tuple[tuple[int, int], tuple[int, int]]
"""First and last row, first and last column."""

Scalar = TypeVar("Scalar", bound=np.generic)


def ratio_box(box: Box, ratio: float) -> Box:
    """Widen a box about its centre, along rows or along columns, until columns are `ratio` times rows.

    Halves are rounded to even, as Python does. The result may lie partly or wholly outside of the image.

    Examples
    --------
    >>> ratio_box(((10, 20), (0, 4)), 1)
    ((10, 20), (-3, 7))
    >>> ratio_box(((10, 14), (0, 40)), 2)
    ((2, 22), (0, 40))
    """
    (top, bottom), (left, right) = box
    rows, columns = bottom - top, right - left
    if rows * ratio >= columns:
        left = round((left + right) // 2 - rows * ratio / 2)
        right = left + round(rows * ratio)
    else:
        top = round((top + bottom) // 2 - columns / ratio / 2)
        bottom = top + round(columns / ratio)
    return (top, bottom), (left, right)


def area(box: Box) -> int:
    """Return the number of pixels in a box."""
    (top, bottom), (left, right) = box
    return (bottom - top + 1) * (right - left + 1)


def cut(image: npt.NDArray[Scalar], box: Box) -> npt.NDArray[Scalar]:
    """Cut a box out of an image; what lies outside of the image is zero.

    Examples
    --------
    >>> cut(np.array([[1, 2], [3, 4]]), ((1, 2), (-1, 0))).tolist()
    [[0, 3], [0, 0]]
    """
    (top, bottom), (left, right) = box
    result = np.zeros((bottom - top + 1, right - left + 1), image.dtype)
    rows, columns = slice(max(top, 0), max(bottom + 1, 0)), slice(max(left, 0), max(right + 1, 0))
    inside = image[rows, columns]
    down, across = rows.start - top, columns.start - left
    result[down : down + inside.shape[0], across : across + inside.shape[1]] = inside
    return result


def ratio_cut(image: npt.NDArray[Scalar], box: Box, ratio: float) -> npt.NDArray[Scalar]:
    """Cut a box out of an image after widening it by `ratio_box`.

    Parameters
    ----------
    image : ndarray, shape (rows, columns)
        The image at full resolution.
    box : ((int, int), (int, int))
        First and last row, first and last column.
    ratio : float
        Columns for each row of the result: the height of a pixel over its width makes the result square in millimetres.

    Returns
    -------
    ndarray of the image's type
        Zero where the widened box leaves the image.
    """
    return cut(image, ratio_box(box, ratio))
