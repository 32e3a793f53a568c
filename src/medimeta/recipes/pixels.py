"""The pixel rules of release 1.0, in Pillow's own operations, so that results are equal bit for bit.

Crop and pad run at full resolution, before scaling. Source of every rule: the release's preprocessing, as laid down in
the project's description of the originals ("Pixels").
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageOps

from medimeta.errors import DamagedSourceError
from medimeta.recipes.recipe import Options, Pixels, Rendered
from medimeta.sources.archive import Archive
from medimeta.sources.images import decode

BICUBIC = Image.Resampling.BICUBIC
NEAREST = Image.Resampling.NEAREST


class Scaled(NamedTuple):
    """A scaled image, and whether it had to be enlarged."""

    image: Image.Image
    enlarged: bool


def pad(image: Image.Image, method: Image.Resampling = BICUBIC) -> Image.Image:
    """Centre on a black square whose side is the longer edge.

    Examples
    --------
    >>> pad(Image.new("L", (4, 2))).size
    (4, 4)
    """
    side = max(image.size)
    return ImageOps.pad(image, (side, side), method=method, color=0)


def crop(image: Image.Image) -> Image.Image:
    """Cut the centred square whose side is the shorter edge; an odd rest is cut at the right and the bottom.

    Examples
    --------
    >>> crop(Image.new("RGB", (5, 2))).size
    (2, 2)
    """
    width, height = image.size
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    return image.crop((left, top, left + side, top + side))


def resize(image: Image.Image, size: int) -> Scaled:
    """Scale a square image to `size` pixels, up or down."""
    return Scaled(image.resize((size, size), BICUBIC), enlarged=max(image.size) < size)


def thumbnail(image: Image.Image, size: int) -> Scaled:
    """Shrink a square image to `size` pixels as ``Image.thumbnail`` does; a smaller one is enlarged by `resize`.

    A large one is reduced in two steps, with the gap of ``Image.thumbnail``, so its pixels differ from `resize`'s. That
    function itself would need a copy, as it changes its image.
    """
    if max(image.size) < size:
        return resize(image, size)
    return Scaled(image.resize((size, size), BICUBIC, reducing_gap=2), enlarged=False)


EIGHT_BIT = frozenset({"1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "HSV"})


def to_mode(image: Image.Image, mode: str, where: str = "an image") -> tuple[Image.Image, str | None]:
    """Convert to ``"L"`` or ``"RGB"``; return the image, and the old mode where it was another.

    Raises
    ------
    DamagedSourceError
        The image has more than 8 bits a channel, which Pillow would cut off without a word.
    """
    if image.mode == mode:
        return image, None
    if image.mode not in EIGHT_BIT:
        raise DamagedSourceError(
            f"{where}: has colour mode {image.mode}, which cannot be converted to {mode}: expected 8 bits a channel. "
            f"Check that this is the original download."
        )
    return image.convert(mode), image.mode


def render_image(
    source: Archive,
    member: str,
    options: Options,
    mode: str,
    *,
    square: Callable[[Image.Image], Image.Image],
    scale: Callable[[Image.Image, int], Scaled],
    **more: Any,
) -> Rendered:
    """Decode one image file, convert, square and scale it: all that most recipes do.

    Parameters
    ----------
    source, member : Archive, str
        Where the image lies.
    options : Options
        With the size wanted.
    mode : str
        ``"L"`` or ``"RGB"``.
    square, scale : callable
        `crop` or `pad`; `thumbnail` or `resize`.
    **more
        Further fields of the result.
    """
    where = source.where(member)
    original = decode(source.read(member), where)
    converted, converted_from = to_mode(original, mode, where)
    scaled = scale(square(converted), options.size)
    return Rendered(np.asarray(scaled.image), original.size, converted_from, scaled.enlarged, **more)


def union_mask(masks: Sequence[Image.Image], size: int) -> Pixels:
    """Unite masks of one image into a binary one, each padded to a square and scaled without inventing values.

    Parameters
    ----------
    masks : sequence of PIL.Image.Image
        At least one mask, in any mode; whatever is not black is inside.
    size : int
        Side of the result in pixels.

    Returns
    -------
    ndarray of uint8, shape (size, size)
        0 outside, 255 inside.

    Examples
    --------
    >>> left, right = Image.new("1", (4, 4)), Image.new("1", (4, 4))
    >>> left.putpixel((0, 0), 1); right.putpixel((3, 0), 1)
    >>> union_mask([left, right], 4)[0].tolist()
    [255, 0, 0, 255]
    """
    united: Pixels = np.maximum.reduce([_square_mask(mask, size) for mask in masks])
    return united


def _square_mask(mask: Image.Image, size: int) -> Pixels:
    binary = mask.convert("L").point([0] + [255] * 255)
    return np.asarray(pad(binary, NEAREST).resize((size, size), NEAREST))
