"""Which originals a build reads: datasets of one original are built together, in one pass over it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Collection, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from medimeta._files import as_path
from medimeta._numbers import shown
from medimeta._version import __version__
from medimeta.building.plan import Plan
from medimeta.building.settings import Settings
from medimeta.catalogue.catalogue import default_catalogue
from medimeta.catalogue.own_reading import read_own_card
from medimeta.catalogue.schema import DatasetCard
from medimeta.errors import SourceChangedError, UsageError
from medimeta.recipes.own import open_own
from medimeta.recipes.recipe import Recipe, recipe_of
from medimeta.sources.archive import Archive
from medimeta.sources.find import find_original


@dataclass(frozen=True)
class Pass:
    """Datasets that one pass over an original makes."""

    cards: tuple[DatasetCard, ...]
    recipe: Recipe
    source: Archive


def find_passes(
    names: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    source: str | os.PathLike[str],
    settings: Settings,
    noting: Callable[[str], AbstractContextManager[None]] | None = None,
) -> list[Pass]:
    """Find the originals of all datasets before the first is built: a wrong path is told at once, not after an hour.

    Own data are listed already here, to make their cards: what `noting` gives for the dataset notes what is wrong.

    Raises
    ------
    UnknownNameError, UsageError
        A dataset that does not exist or cannot be built.
    SourceError
        An original is missing or damaged.
    """
    named = _named(names)
    source = as_path(source, "source")
    own = [name for name in named if name.casefold().endswith((".yaml", ".yml"))]
    cards = dict.fromkeys(default_catalogue().dataset(name) for name in named if name not in own)
    grouped: dict[str, list[DatasetCard]] = {}
    recipes = {}
    for card in cards:
        recipe = recipe_of(card)
        recipes[recipe.name] = recipe
        grouped.setdefault(recipe.name, []).append(card)
    passes = [
        Pass(
            tuple(group),
            recipes[name],
            find_original(
                source, recipes[name].original, [card.id for card in group], allow_partial=settings.allow_partial
            ),
        )
        for name, group in grouped.items()
    ]
    for name in own:
        own_card = read_own_card(name)
        with noting(own_card.id) if noting else nullcontext():
            card, recipe, archive = open_own(own_card, source, allow_partial=settings.allow_partial)
        passes.append(Pass((card,), recipe, archive))
    return passes


def _named(names: Any) -> list[str]:
    """Return the names of datasets, of which one may stand for itself."""
    listed = [names] if isinstance(names, str | os.PathLike) or not isinstance(names, Iterable) else list(names)
    for name in listed:
        if not isinstance(name, str | os.PathLike):
            raise UsageError(
                f"dataset must be the id of one, the path of a card, or several of them, got {shown(name)}."
            )
    return list(dict.fromkeys(map(str, listed)))


def source_state(source: Archive, plans: Iterable[Plan]) -> str:
    """Return what would change if any file of the original that matters did; contents are not read."""
    used: dict[str, None] = {}
    for plan in plans:
        used |= dict.fromkeys(plan.tables)
        for sample in plan.samples:
            if sample.streamed:
                used |= dict.fromkeys(source.members)
            else:
                used |= dict.fromkeys((sample.member, *sample.masks))
    return source.state(sorted(name for name in used if name in source))


def check_unchanged(source: Archive, plans: Collection[Plan], before: str) -> None:
    """Raise SourceChangedError where the original is no longer what it was when it was planned.

    Tables were read before their state could be taken, so their contents are compared too.
    """
    tables = {name: sha256 for plan in plans for name, sha256 in plan.tables.items()}
    if source_state(source, plans) != before or any(
        source.digest(name) != sha256 for name, sha256 in tables.items() if name in source
    ):
        raise SourceChangedError(
            f"{source.where('')}: changed while it was read, so nothing was published. Wait until it is complete, then "
            f"build again; what was made of the old state is not used."
        )


def plan_digest(plan: Plan, recipe: Recipe, settings: Settings, state: str) -> str:
    """Return a digest of all that decides about the pixels and files of a dataset.

    A broken build goes on only where this is the same: same original, untouched, same samples in the same order, same
    settings, and same versions of this package and of Pillow.
    """
    sha256 = hashlib.sha256()
    parts = [plan.card.id, recipe.name, recipe.version, __version__, version("pillow"), settings.for_manifest(), state]
    sha256.update(repr(parts).encode())
    for sample in plan.samples:
        sha256.update(repr((sample.member, sample.masks, sample.unit, sample.details)).encode("utf-8", "replace"))
    return sha256.hexdigest()
