"""How much room a build needs, and whether the disk has it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from medimeta.building.plan import Plan
from medimeta.errors import StoreError
from medimeta.recipes.recipe import Options
from medimeta.store.disk import free_bytes, room, stored_bytes


def needed_bytes(plan: Plan, options: Options, *, tiff: bool) -> int:
    """Return how many bytes a dataset takes on the disk."""
    masks = sum(len(sample.masks) for sample in plan.samples)
    return stored_bytes(len(plan.samples), plan.card.channels, options.size, tiff=tiff, masks=masks)


def check_free(root: Path, plans: Sequence[Plan], needed: int) -> None:
    """Raise StoreError where the disk has less room than is needed."""
    free = free_bytes(root)
    if free < needed:
        raise StoreError(
            f"{root}: has no room for {', '.join(plan.card.id for plan in plans)}: needs {room(needed)}, "
            f"{room(free)} are free. Free some, pass another --root, or build at a smaller --size."
        )
