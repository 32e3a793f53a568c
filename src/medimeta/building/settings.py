"""How to build: the choices that are the same for every dataset of a call."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from medimeta._numbers import shown
from medimeta.errors import UsageError
from medimeta.recipes.recipe import Options

DEFAULT_SIZE = 224
SIZES = range(8, 4097)
WORKERS = range(1, 1025)


@dataclass(frozen=True)
class Settings:
    """Choices of a build; see `medimeta.build` for what they mean."""

    root: Path
    workers: int
    size: int = DEFAULT_SIZE
    allow_partial: bool = False
    overwrite: bool = False
    tiff: bool = False
    release_errata: bool = False
    dask: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.size, int) or self.size not in SIZES:
            raise UsageError(f"size must be {SIZES[0]} to {SIZES[-1]} pixels, got {shown(self.size)}.")
        if self.workers not in WORKERS:
            raise UsageError(f"workers must be {WORKERS[0]} to {WORKERS[-1]}, got {shown(self.workers)}.")

    @property
    def options(self) -> Options:
        """What a recipe may need to know."""
        return Options(self.size, self.allow_partial, self.release_errata)

    def for_manifest(self) -> dict[str, object]:
        """Return the choices that decide about the bytes: the size, and what departs from the usual."""
        unusual = {"tiff": self.tiff, "release_errata": self.release_errata}
        return {"size": self.size, **{name: value for name, value in unusual.items() if value}}
