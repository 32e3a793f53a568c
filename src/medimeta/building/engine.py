"""Build datasets: workers render chunks of samples, one writer places them, and only a verified dataset is published.

The bytes do not depend on the number of workers, nor on how often a build was broken off: every sample has its place
before work starts, and what is finished is in the journal.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path

from medimeta._interrupts import STOPPED, deliver_held, held_back, let_through
from medimeta._optional import require
from medimeta._processors import usable_processors
from medimeta._version import __version__
from medimeta.building.assembly import JOURNAL, Assembly, by_dataset
from medimeta.building.chunks import Chunk, chunk_length, make_chunks
from medimeta.building.disk import check_free, needed_bytes
from medimeta.building.executors import Workers, open_workers, prepare_workers, run_jobs
from medimeta.building.journal import has_finished
from medimeta.building.outcome import Outcome
from medimeta.building.plan import Plan, make_plans
from medimeta.building.problems import keep_problems, note_problems
from medimeta.building.render import RenderedChunk, RenderedSample, render_chunk
from medimeta.building.report import BuildReport
from medimeta.building.settings import DEFAULT_SIZE, Settings
from medimeta.building.slabs import Slabs
from medimeta.building.sources import Pass, check_unchanged, find_passes, plan_digest, source_state
from medimeta.catalogue.schema import SPLITS
from medimeta.errors import SourceChangedError, SourceError
from medimeta.recipes.recipe import Pixels
from medimeta.store import layout
from medimeta.store.manifest import Manifest
from medimeta.store.publish import locked, partial_folder, publish, refuse_existing, remove, workplace
from medimeta.store.verify import verify_folder

Progress = Callable[[str, int, int], None]
"""Called as ``progress(dataset, done, total)`` at the start, and whenever samples are done."""


def build(
    dataset: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    source: str | os.PathLike[str],
    root: str | os.PathLike[str] | None = None,
    *,
    workers: int | None = None,
    size: int = DEFAULT_SIZE,
    allow_partial: bool = False,
    overwrite: bool = False,
    tiff: bool = False,
    release_errata: bool = False,
    dask: str | None = None,
    progress: Progress | None = None,
) -> list[BuildReport]:
    """Build datasets from their original downloads.

    A build that is broken off, by Ctrl-C, a kill or an error, keeps what is finished; the same call goes on with it.
    Ctrl-C is held back for the moments in which it would do harm; its KeyboardInterrupt says how to go on.

    Parameters
    ----------
    dataset : str or iterable of str
        Ids of the datasets, or paths of YAML cards of one's own. Those that are made of one original are built in one
        pass over it.
    source : path
        The archive as downloaded, the folder it was extracted to, or a folder that holds either.
    root : path, optional
        Where built datasets lie; else ``$MEDIMETA_ROOT``, else ``./data``.
    workers : int, optional
        Worker processes; as many as there are processors to use. 1 works in this process.
    size : int
        Side of the stored images in pixels; release 1.0 has 224.
    allow_partial : bool
        Build although the original does not hold what the release was made of; the manifest records it.
    overwrite : bool
        Replace a dataset that is already there, once the new one is verified.
    tiff : bool
        Also write each image as a TIFF file, as release 1.0 has them.
    release_errata : bool
        Repeat the mistakes of release 1.0 in labels and masks, which the card lists, so that old figures can be had
        again.
    dask : str, optional
        Address of a Dask scheduler whose workers do the work; they must see `source` under the same path.
    progress : callable, optional
        Called as ``progress(dataset, done, total)``.

    Returns
    -------
    list of BuildReport
        One report a dataset.

    Raises
    ------
    UnknownNameError, UsageError
        A dataset that does not exist or cannot be built yet; a bad size or number of workers.
    SourceError
        The original is missing, damaged, or not what the release was made of.
    StoreError
        The root cannot be written, or the dataset is already there.

    Examples
    --------
    >>> import medimeta as mm
    >>> originals, root = getfixture("originals"), getfixture("tmp_path")
    >>> [report] = mm.build("bus", source=originals, root=root, workers=1, allow_partial=True)
    >>> report.dataset, report.samples == len(mm.load_arrays("bus/malignancy", root=root).labels)
    ('bus', True)
    """
    require("PIL")
    workers = usable_processors() if workers is None else workers
    settings = Settings(layout.default_root(root), workers, size, allow_partial, overwrite, tiff, release_errata, dask)
    passes: list[Pass] = []
    reports: list[BuildReport] = []
    with held_back():
        prepare_workers(settings.workers, dask)
        try:
            with let_through():
                passes += find_passes(dataset, source, settings, partial(note_problems, settings.root))
            if not overwrite:
                refuse_existing(settings.root, [card.id for found in passes for card in found.cards])
            with open_workers(settings.workers, dask) as pool:
                for found in passes:
                    deliver_held()
                    with keep_problems(settings.root, found.cards[0].id):
                        reports += _build_pass(found, settings, pool, progress)
            deliver_held()
        except KeyboardInterrupt:
            raise KeyboardInterrupt(_how_to_go_on(passes, reports)) from None
    return reports


def _how_to_go_on(passes: Sequence[Pass], reports: Sequence[BuildReport]) -> str:
    """Say what a build that was stopped has left, and how to go on with it."""
    if not reports:
        return STOPPED
    built = [report.dataset for report in reports]
    rest = [card.id for found in passes for card in found.cards if card.id not in built]
    done = f"{', '.join(built)} {'is' if len(built) == 1 else 'are'} built"
    if not rest:
        return f"stopped by Ctrl-C, but {done} already."
    return f"stopped by Ctrl-C. {done}. Build {', '.join(rest)} alone to go on: what is finished is kept."


def _build_pass(found: Pass, settings: Settings, pool: Workers, progress: Progress | None) -> list[BuildReport]:
    started = time.perf_counter()
    with ExitStack() as held:
        for card in found.cards:
            held.enter_context(locked(settings.root, card.id))
        if not settings.overwrite:
            refuse_existing(settings.root, [card.id for card in found.cards])
        with let_through():
            plans = make_plans(found.cards, found.recipe, found.source, settings.options)
            state = source_state(found.source, plans)
        needed = sum(needed_bytes(plan, settings.options, tiff=settings.tiff) for plan in plans)
        there = sum(_size_of(settings, plan) for plan in plans)
        check_free(settings.root, plans, needed - there)
        deliver_held()
        building = _Building(found, plans, settings, state, progress)
        try:
            for plan in plans:
                building.open(plan, held)
            building.render(pool)
            with let_through():
                manifests = [building.finish(assembly) for assembly in building.assemblies.values()]
        finally:
            building.close()
        for plan in plans:  # once begun, to the end: they belong together
            publish(settings.root, plan.card.id)
    seconds = time.perf_counter() - started
    return [
        building.report(assembly, manifest, seconds)
        for assembly, manifest in zip(building.assemblies.values(), manifests, strict=True)
    ]


def _size_of(settings: Settings, plan: Plan) -> int:
    images = partial_folder(settings.root, plan.card.id) / "dataset" / layout.IMAGES
    return images.stat().st_blocks * 512 if images.is_file() and hasattr(images.stat(), "st_blocks") else 0


class _Building:
    """The datasets of one pass in the making."""

    def __init__(
        self, found: Pass, plans: Sequence[Plan], settings: Settings, state: str, progress: Progress | None
    ) -> None:
        self._found = found
        self._plans = plans
        self._settings = settings
        self._state = state
        self._progress = progress
        self._folders: list[Path] = []
        self.assemblies: dict[str, Assembly] = {}

    def open(self, plan: Plan, held: ExitStack) -> None:
        """Open the place where a dataset is made, with what a broken build left in it."""
        folder = held.enter_context(workplace(self._settings.root, plan.card.id))
        self._folders.append(folder)
        with let_through():  # what is there is read and checked
            digest = plan_digest(plan, self._found.recipe, self._settings, self._state)
            assembly = Assembly(plan, digest, folder, self._settings.size)
        self.assemblies[plan.card.id] = assembly
        self._tell(assembly)

    def close(self) -> None:
        """Close all files, and remove the places in which nothing is finished."""
        for assembly in self.assemblies.values():
            assembly.close()
        for folder in self._folders:
            if not has_finished(folder / JOURNAL):
                remove(folder)

    def render(self, pool: Workers) -> None:
        """Have everything rendered that is not finished, and place it.

        An original that changed meanwhile explains whatever else went wrong, so that is told first.
        """
        try:
            self._render(pool)
        except SourceError:
            self._check_unchanged()
            raise
        self._check_unchanged()

    def _check_unchanged(self) -> None:
        try:
            with let_through():
                check_unchanged(self._found.source, self._plans, self._state)
        except SourceChangedError:
            # Part of what is finished is of the new state. If the old one came back, it must not count.
            for assembly in self.assemblies.values():
                assembly.journal.restart()
            raise

    def _render(self, pool: Workers) -> None:
        outcome = Outcome()
        settings, recipe, source = self._settings, self._found.recipe, self._found.source
        done = {dataset: frozenset(assembly.done) for dataset, assembly in self.assemblies.items()}
        chunks = make_chunks(
            self._plans, recipe, source, settings.options, done, tiff=settings.tiff, missing=outcome.missing.extend
        )
        slabs = self._slabs(pool) if pool.share_memory else None
        try:
            for chunk in run_jobs(pool, render_chunk, _with_slabs(_to_its_end(chunks, outcome.broken), slabs)):
                outcome.problems += [problem for _, problem in chunk.problems]
                self._place(chunk, slabs)
        finally:
            if slabs is not None:
                slabs.remove()
        total = sum(len(plan.samples) for plan in self._plans)
        outcome.refuse(source.where(""), ", ".join(plan.card.id for plan in self._plans), total)

    def finish(self, assembly: Assembly) -> Manifest:
        """Write tables and manifest of a dataset, and verify it."""
        plan, recipe = assembly.plan, self._found.recipe
        assembly.writer.write_table(assembly.table())
        manifest = assembly.writer.finish(
            package=f"medimeta {__version__}",
            recipe=recipe.name,
            recipe_version=recipe.version,
            settings=self._settings.for_manifest(),
            partial=bool(plan.departures),
            departures=plan.departures,
            samples=len(plan.samples),
            sources=(assembly.source_digest(recipe.original.archive),),
        )
        verify_folder(assembly.writer.folder).raise_for_problems()
        return manifest

    def report(self, assembly: Assembly, manifest: Manifest, seconds: float) -> BuildReport:
        """Return the report of a finished dataset."""
        plan, tally = assembly.plan, assembly.tally()
        return BuildReport(
            dataset=plan.card.id,
            folder=self._settings.root / plan.card.id,
            samples=len(plan.samples),
            splits={split: list(plan.splits).count(split) for split in SPLITS},
            size=self._settings.size,
            enlarged=tally.enlarged,
            converted=dict(sorted(tally.converted.items())),
            masks=tally.masks,
            warnings=tuple(sorted(tally.warnings)),
            departures=plan.departures,
            dropped=plan.dropped,
            left_out=plan.left_out,
            resumed=assembly.resumed,
            seconds=seconds,
            fingerprint=manifest.fingerprint(),
        )

    def _slabs(self, pool: Workers) -> Slabs:
        size, first = self._settings.size, self._plans[0]
        rows = chunk_length(self._plans, self._settings.options)
        largest = max(size**2 * plan.card.channels for plan in self._plans)
        folder = partial_folder(self._settings.root, first.card.id)
        return Slabs(folder, pool.under_way, rows, largest)

    def _place(self, chunk: RenderedChunk, slabs: Slabs | None) -> None:
        for dataset, samples in by_dataset(chunk.samples).items():
            assembly = self.assemblies[dataset]
            assembly.place([(sample, _pixels(sample, chunk, slabs)) for sample in samples], chunk.members)
            self._tell(assembly)
        if slabs is not None and chunk.slab is not None:
            slabs.give_back(chunk.slab)

    def _tell(self, assembly: Assembly) -> None:
        if self._progress is not None:
            self._progress(assembly.plan.card.id, len(assembly.done), len(assembly.plan.samples))


def _to_its_end(chunks: Iterator[Chunk], broken: list[SourceError]) -> Iterator[Chunk]:
    """End chunks where their stream breaks, and keep its error: what is under way is still finished, and told."""
    try:
        yield from chunks
    except SourceError as error:
        broken.append(error)


def _with_slabs(chunks: Iterator[Chunk], slabs: Slabs | None) -> Iterator[Chunk]:
    for chunk in chunks:
        slab = slabs.take() if slabs is not None and len(chunk.samples) <= slabs.rows else None
        yield replace(chunk, slab=slab) if slab else chunk


def _pixels(sample: RenderedSample, chunk: RenderedChunk, slabs: Slabs | None) -> Pixels:
    if sample.pixels is not None:
        return sample.pixels
    if slabs is None or chunk.slab is None:
        raise RuntimeError("a chunk came back without its pixels")
    return slabs.pixels(chunk.slab, sample.row, sample.shape)
