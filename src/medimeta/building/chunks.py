"""The work of a build, cut into chunks that workers render: by unit, from the stream, or run by run."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from medimeta.building.plan import Plan
from medimeta.building.slabs import Slab
from medimeta.recipes.recipe import Options, Recipe, Sample
from medimeta.sources.archive import Archive

Place = tuple[str, int]
"""Dataset id and sample index."""

MOST_SAMPLES = 32  # of a chunk: enough to hide the hand-over, few enough to spread evenly
MOST_BYTES = 8 * 1024**2  # of pixels in a chunk, so that memory stays flat at every size


@dataclass(frozen=True)
class Chunk:
    """Samples that one worker renders in one go. Pickles small, unless images came from a stream.

    Attributes
    ----------
    recipe, source, options : Recipe, Archive, Options
        What is needed to render.
    places : tuple of Place
        Where the samples belong.
    samples : tuple of Sample
        The samples.
    tiff : bool
        Whether each image is also to be encoded as a TIFF file.
    streamed : mapping of str to bytes
        Images that were read from a stream.
    slab : Slab or None
        Shared memory for the pixels.
    """

    recipe: Recipe
    source: Archive
    options: Options
    places: tuple[Place, ...]
    samples: tuple[Sample, ...]
    tiff: bool = False
    streamed: Mapping[str, bytes] = field(default_factory=dict)
    slab: Slab | None = None


def chunk_length(plans: Sequence[Plan], options: Options) -> int:
    """Return how many samples a run or a piece of a stream has at most."""
    largest = max(options.size**2 * plan.card.channels for plan in plans)
    return max(1, min(MOST_SAMPLES, MOST_BYTES // largest))


def make_chunks(
    plans: Sequence[Plan],
    recipe: Recipe,
    source: Archive,
    options: Options,
    done: Mapping[str, Collection[int]],
    *,
    tiff: bool,
    missing: Callable[[list[Sample]], None],
) -> Iterator[Chunk]:
    """Yield the chunks of all samples that are not done yet.

    Parameters
    ----------
    plans, recipe, source, options
        What is to be built.
    done : mapping of str to collection of int
        Dataset id to the samples that an earlier, broken build has finished.
    tiff : bool
        See `Chunk`.
    missing : callable
        Told, at the end, the samples that should have come from a stream and did not.
    """
    length = chunk_length(plans, options)
    runs: dict[str, list[tuple[Place, Sample]]] = {}
    units: dict[str, list[tuple[Place, Sample]]] = {}
    streamed: dict[str, list[tuple[Place, Sample]]] = {}
    for plan in plans:
        for index, sample in enumerate(plan.samples):
            if index in done[plan.card.id]:
                continue
            placed = ((plan.card.id, index), sample)
            if sample.unit:
                units.setdefault(sample.unit, []).append(placed)
            elif sample.streamed:
                streamed.setdefault(sample.member, []).append(placed)
            else:
                runs.setdefault(plan.card.id, []).append(placed)

    def chunk(placed: Sequence[tuple[Place, Sample]], data: Mapping[str, bytes] | None = None) -> Chunk:
        places, samples = zip(*placed, strict=True)
        return Chunk(recipe, source, options, places, samples, tiff, data or {})

    for unit in units.values():
        yield chunk(unit)
    for run in runs.values():  # of one dataset each: what is read for it is no other's
        for start in range(0, len(run), length):
            yield chunk(run[start : start + length])
    if streamed:
        for pieces in _pieces(recipe.stream(source), streamed, length):
            yield chunk([piece for piece, _ in pieces], {piece[1].member: data for piece, data in pieces})
        missing([sample for wanted in streamed.values() for _, sample in wanted])


def _pieces(
    stream: Iterator[tuple[str, bytes]], wanted: dict[str, list[tuple[Place, Sample]]], length: int
) -> Iterator[list[tuple[tuple[Place, Sample], bytes]]]:
    """Cut a stream into pieces of so many wanted samples; what was found is no longer wanted."""
    piece: list[tuple[tuple[Place, Sample], bytes]] = []
    for name, data in stream:
        for placed in wanted.pop(name, ()):
            piece.append((placed, data))
            if len(piece) == length:
                yield piece
                piece = []
    if piece:
        yield piece
