"""The worker's half of a build: render a chunk of samples, and digest every member that was read for it."""

from __future__ import annotations

import io
from dataclasses import dataclass, field

import numpy as np

from medimeta._zlib import crc32
from medimeta.building.chunks import Chunk, Place
from medimeta.building.recording import Recording
from medimeta.building.slabs import slab_view
from medimeta.errors import SourceError
from medimeta.recipes.recipe import Pixels, Rendered
from medimeta.store import layout


@dataclass(frozen=True)
class RenderedSample:
    """One rendered sample on its way from a worker to the writer.

    Attributes
    ----------
    place : Place
        Where it belongs.
    row : int
        Its place in the chunk, and so in the chunk's slab.
    shape : tuple of int
        Shape of the finished image.
    pixels : ndarray of uint8 or None
        The finished image, where it does not lie in the slab.
    checksum : int
        CRC-32 of the pixels.
    files : mapping of str to bytes
        Name in the dataset to contents of further files: masks, TIFF files.
    masks : int
        How many of these are masks.
    enlarged, converted_from, annotations, warnings
        See `medimeta.recipes.recipe.Rendered`.
    """

    place: Place
    row: int
    shape: tuple[int, ...]
    pixels: Pixels | None
    checksum: int
    files: dict[str, bytes]
    masks: int
    enlarged: bool
    converted_from: str | None
    annotations: dict[str, str]
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class RenderedChunk:
    """What a worker made of a chunk.

    Attributes
    ----------
    samples : tuple of RenderedSample
        Those that could be rendered.
    problems : tuple of (Place, str)
        Why the others could not.
    members : mapping of str to str
        Name and SHA-256 of every member that was read.
    slab : int or None
        Number of the slab that holds the pixels.
    """

    samples: tuple[RenderedSample, ...]
    problems: tuple[tuple[Place, str], ...]
    members: dict[str, str] = field(default_factory=dict)
    slab: int | None = None


def render_chunk(chunk: Chunk) -> RenderedChunk:
    """Render a chunk of samples; what cannot be rendered is told, not raised, so that all of it is told at once."""
    source = Recording(chunk.source, chunk.streamed)
    rendered: list[RenderedSample] = []
    problems: list[tuple[Place, str]] = []
    results = chunk.recipe.render_all(source, chunk.samples, chunk.options)
    for row, (place, result) in enumerate(zip(chunk.places, results, strict=True)):
        if isinstance(result, SourceError):
            problems.append((place, str(result)))
        else:
            rendered.append(_finished(chunk, row, place, result))
    return RenderedChunk(tuple(rendered), tuple(problems), source.taken(), chunk.slab[1] if chunk.slab else None)


def _finished(chunk: Chunk, row: int, place: Place, result: Rendered) -> RenderedSample:
    _, index = place
    pixels = np.ascontiguousarray(result.pixels)
    side = (chunk.options.size,) * 2
    if pixels.dtype != np.uint8 or pixels.shape not in (side, (*side, 3)):  # a slab would take it without a word
        raise ValueError(
            f"the recipe {chunk.recipe.name} made {pixels.dtype} {pixels.shape} of {chunk.samples[row].member}; "
            f"expected uint8 {side} or {(*side, 3)}"
        )
    if chunk.slab is not None:
        slab_view(chunk.slab, row, pixels.shape)[...] = pixels
    width, height = result.original_size
    stem = f"{layout.MASKS}/{layout.stem(index)}"
    files = {f"{stem}{suffix}.tiff": encode_tiff(mask) for suffix, mask in result.masks.items()}
    if chunk.tiff:
        files[layout.image_name(index)] = encode_tiff(pixels)
    late = {column: value.replace("{mask}", stem) for column, value in result.annotations.items()}
    return RenderedSample(
        place=place,
        row=row,
        shape=pixels.shape,
        pixels=None if chunk.slab else pixels,
        checksum=crc32(pixels.data),
        files=files,
        masks=len(result.masks),
        enlarged=result.enlarged,
        converted_from=result.converted_from,
        annotations={"original_image_size": f"{width}x{height}", **late},
        warnings=result.warnings,
    )


def encode_tiff(pixels: Pixels) -> bytes:
    """Return pixels as an uncompressed TIFF file, as release 1.0 stores them."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "TIFF", compression="raw")
    return file.getvalue()
