"""Build datasets: workers render chunks of samples, one writer places them, and only a verified dataset is published.

The bytes do not depend on the number of workers: every sample has its place before work starts.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path

from medimeta._optional import require
from medimeta._processors import usable_processors
from medimeta._version import __version__
from medimeta.building.assembly import Assembly
from medimeta.building.executors import make_executor, run_jobs
from medimeta.building.plan import make_plan
from medimeta.building.publish import refuse_existing, workplace
from medimeta.building.render import Chunk, render_chunk
from medimeta.building.report import BuildReport
from medimeta.catalogue.catalogue import default_catalogue
from medimeta.catalogue.schema import SPLITS, DatasetCard
from medimeta.errors import DamagedSourceError, UsageError, bullet_list
from medimeta.recipes.recipe import Recipe, recipe_of
from medimeta.sources.archive import Archive
from medimeta.sources.find import find_original
from medimeta.store import layout
from medimeta.store.verify import verify_folder
from medimeta.store.writer import DatasetWriter

DEFAULT_SIZE = 224
SIZES = range(8, 4097)
WORKERS = range(1, 1025)
CHUNK = 32  # samples a worker renders at a time: large enough to hide the hand-over, small enough to spread evenly

Progress = Callable[[str, int, int], None]
"""Called as ``progress(dataset, done, total)`` at the start, and whenever samples are done."""


@dataclass(frozen=True)
class Settings:
    """How to build, the same for every dataset of a call."""

    root: Path
    workers: int
    size: int
    allow_partial: bool
    overwrite: bool

    def __post_init__(self) -> None:
        if not isinstance(self.size, int) or self.size not in SIZES:
            raise UsageError(f"size must be {SIZES[0]} to {SIZES[-1]} pixels, got {self.size}.")
        if self.workers not in WORKERS:
            raise UsageError(f"workers must be {WORKERS[0]} to {WORKERS[-1]}, got {self.workers}.")


def build(
    dataset: str | Iterable[str],
    source: str | os.PathLike[str],
    root: str | os.PathLike[str] | None = None,
    *,
    workers: int | None = None,
    size: int = DEFAULT_SIZE,
    allow_partial: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> list[BuildReport]:
    """Build datasets from their original downloads.

    Parameters
    ----------
    dataset : str or iterable of str
        Ids of the datasets.
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
    settings = Settings(layout.default_root(root), workers, size, allow_partial, overwrite)
    names = [dataset] if isinstance(dataset, str) else list(dataset)
    cards = list(dict.fromkeys(default_catalogue().dataset(name) for name in names))
    recipes = [recipe_of(card) for card in cards]
    if not overwrite:
        refuse_existing(settings.root, [card.id for card in cards])
    # All originals are found before the first is built: a wrong path is told at once, not after an hour.
    sources = [
        find_original(source, recipe.original, [card.id], allow_partial=allow_partial)
        for card, recipe in zip(cards, recipes, strict=True)
    ]
    with make_executor(settings.workers) as executor:
        return [
            _build_one(card, recipe, archive, settings, executor, progress)
            for card, recipe, archive in zip(cards, recipes, sources, strict=True)
        ]


def _build_one(
    card: DatasetCard,
    recipe: Recipe,
    source: Archive,
    settings: Settings,
    executor: Executor,
    progress: Progress | None,
) -> BuildReport:
    started = time.perf_counter()
    with workplace(settings.root, card.id, overwrite=settings.overwrite) as folder:
        plan = make_plan(card, recipe, source, allow_partial=settings.allow_partial)
        with DatasetWriter(folder, card, len(plan.samples), settings.size) as writer:
            assembly = Assembly(plan, writer)
            _render(assembly, recipe, executor, settings, progress)
            writer.write_table(assembly.table())
            manifest = writer.finish(
                package=f"medimeta {__version__}",
                recipe=recipe.name,
                recipe_version=recipe.version,
                settings={"size": settings.size},
                partial=bool(plan.departures),
                departures=plan.departures,
                samples=len(plan.samples),
                sources=(assembly.source_digest(recipe.original.archive),),
            )
        verify_folder(folder).raise_for_problems()
    return BuildReport(
        dataset=card.id,
        folder=settings.root / card.id,
        samples=len(plan.samples),
        splits={split: list(plan.splits).count(split) for split in SPLITS},
        size=settings.size,
        enlarged=assembly.tally.enlarged,
        converted=dict(sorted(assembly.tally.converted.items())),
        masks=assembly.tally.masks,
        warnings=tuple(sorted(assembly.tally.warnings)),
        departures=plan.departures,
        seconds=time.perf_counter() - started,
        fingerprint=manifest.fingerprint(),
    )


def _render(
    assembly: Assembly, recipe: Recipe, executor: Executor, settings: Settings, progress: Progress | None
) -> None:
    plan = assembly.plan
    total = len(plan.samples)
    chunks = (
        Chunk(recipe.name, plan.source, start, tuple(plan.samples[start : start + CHUNK]), settings.size)
        for start in range(0, total, CHUNK)
    )
    problems: list[str] = []
    done = 0
    if progress is not None:
        progress(plan.card.id, done, total)
    for chunk in run_jobs(executor, render_chunk, chunks, under_way=2 * settings.workers + 2):
        problems += chunk.problems
        done += len(chunk.samples) + len(chunk.problems)
        if not problems:
            assembly.place(chunk)
        if progress is not None:
            progress(plan.card.id, done, total)
    if problems:
        raise DamagedSourceError(
            f"{len(problems)} of {total} samples of {plan.card.id} cannot be rendered, so nothing was published:\n"
            f"{bullet_list(sorted(problems))}"
        )
