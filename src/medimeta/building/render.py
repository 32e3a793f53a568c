"""The worker's half of a build: render a chunk of samples, and hash every member that was read for it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from medimeta.errors import SourceError
from medimeta.recipes.recipe import Options, Pixels, Sample, recipe_by_name
from medimeta.sources.archive import Archive


@dataclass(frozen=True)
class Chunk:
    """A run of consecutive samples, handed to a worker. Pickles small: the source travels as its path."""

    recipe: str
    source: Archive
    start: int
    samples: tuple[Sample, ...]
    size: int


@dataclass(frozen=True)
class RenderedSample:
    """One rendered sample on its way from a worker to the writer.

    Attributes
    ----------
    pixels : ndarray of uint8, shape (S, S) or (S, S, 3)
        The finished image.
    members : tuple of (str, str)
        Name and SHA-256 of every member that was read for it.
    enlarged, converted_from, masks, annotations, warnings
        See `medimeta.recipes.recipe.Rendered`.
    """

    pixels: Pixels
    members: tuple[tuple[str, str], ...]
    enlarged: bool
    converted_from: str | None
    masks: dict[str, Pixels]
    annotations: dict[str, str]
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class RenderedChunk:
    """What a worker made of a chunk: samples, or the problems of those that cannot be rendered."""

    start: int
    samples: tuple[RenderedSample, ...]
    problems: tuple[str, ...]


class _Recording(Archive):
    """An archive that remembers the digest of every member read through it."""

    def __init__(self, inner: Archive) -> None:
        super().__init__(inner.path, inner.prefix)
        self._inner = inner
        self.read_members: list[tuple[str, str]] = []

    def read(self, member: str) -> bytes:
        data = self._inner.read(member)
        self.read_members.append((member, hashlib.sha256(data).hexdigest()))
        return data

    def _names(self) -> Iterator[str]:
        return self._inner._names()

    def _size(self, name: str) -> int:
        return self._inner._size(name)

    def _read(self, name: str) -> bytes:
        return self._inner._read(name)

    def _open(self, name: str):
        return self._inner._open(name)

    def state(self, members):
        return self._inner.state(members)

    def where(self, member: str) -> str:
        return self._inner.where(member)

    def file(self, member: str):
        return self._inner.file(member)


def render_chunk(chunk: Chunk) -> RenderedChunk:
    """Render a chunk of samples; what cannot be rendered is told, not raised, so that all of it is told at once."""
    recipe = recipe_by_name(chunk.recipe)
    rendered: list[RenderedSample] = []
    problems: list[str] = []
    for sample in chunk.samples:
        source = _Recording(chunk.source)
        try:
            result = recipe.render(source, sample, Options(chunk.size))
        except SourceError as error:
            problems.append(str(error))
            continue
        width, height = result.original_size
        rendered.append(
            RenderedSample(
                pixels=result.pixels,
                members=tuple(source.read_members),
                enlarged=result.enlarged,
                converted_from=result.converted_from,
                masks=dict(result.masks),
                annotations={"original_image_size": f"{width}x{height}", **result.annotations},
                warnings=result.warnings,
            )
        )
    return RenderedChunk(chunk.start, tuple(rendered), tuple(problems))
