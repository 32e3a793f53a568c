"""Checkpoints: what a training needs to go on after its last finished epoch as if it had never stopped.

Two files, each whole or not there: ``best.pt``, the parameters of the best epoch, and ``last.pt``, the rest, which is
written after it. Plain tensors and numbers, read without running code.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from medimeta.errors import CheckpointError, problems_error
from medimeta.learning.training.history import Figures

FORMAT_VERSION = 1
BEST, LAST = "best.pt", "last.pt"

Tensors = dict[str, torch.Tensor]


@dataclass
class Times:
    """What a training took so far, over all of its starts.

    Attributes
    ----------
    seconds : float
        Of fitting, validation and checkpoints included.
    training : float
        Of these, spent on training batches.
    waiting : float
        Of these, spent on waiting for images to be read.
    images : int
        Training images seen, over all processes.
    """

    seconds: float = 0.0
    training: float = 0.0
    waiting: float = 0.0
    images: int = 0


@dataclass
class Progress:
    """How far a training is."""

    history: list[Figures] = field(default_factory=list)
    times: Times = field(default_factory=Times)
    model: Tensors = field(default_factory=dict)
    optimizer: dict[str, Any] = field(default_factory=dict)


class Checkpoints:
    """The checkpoints of one training in a folder of their own.

    Parameters
    ----------
    folder : Path
        Made if missing.
    made_for : mapping of str to str
        What the training is of: settings, data. A checkpoint of another is not taken up.
    """

    def __init__(self, folder: Path, made_for: Mapping[str, str]) -> None:
        self.folder = folder
        self.made_for = dict(made_for)

    def load(self) -> Progress | None:
        """Read where a training was left; None where it was not begun.

        Raises
        ------
        CheckpointError
            It does not read, or is of another training; every difference is named.
        """
        path = self.folder / LAST
        if not path.exists():
            return None
        state = self._read(path)
        if state.get("format_version") != FORMAT_VERSION:
            raise CheckpointError(
                f"{path}: is a checkpoint of format {state.get('format_version')!r}, this version reads "
                f"{FORMAT_VERSION}. Remove the folder to begin anew."
            )
        problems = [
            f"{name}: the checkpoint has {state['made_for'].get(name)}, this training {self.made_for.get(name)}"
            for name in dict.fromkeys([*self.made_for, *state["made_for"]])
            if self.made_for.get(name) != state["made_for"].get(name)
        ]
        if problems:
            raise problems_error(
                CheckpointError,
                f"{path}: is a checkpoint of another training:",
                problems,
                "Pass another folder, or remove this one to begin anew.",
            )
        return Progress(state["history"], Times(**state["times"]), state["model"], state["optimizer"])

    def load_best(self) -> Tensors:
        """Read the parameters of the best epoch.

        Raises
        ------
        CheckpointError
            They do not read.
        """
        return self._read(self.folder / BEST)

    def save_best(self, parameters: Tensors, epoch: int) -> None:
        """Write the parameters of the best epoch; errors are those of `save`."""
        self._write(BEST, parameters, epoch)

    def save(self, progress: Progress) -> None:
        """Write where the training is after an epoch.

        Raises
        ------
        CheckpointError
            The disk is full, or the folder cannot be written. What was saved before is kept.
        """
        state = {
            "format_version": FORMAT_VERSION,
            "made_for": self.made_for,
            "history": progress.history,
            "times": asdict(progress.times),
            "model": progress.model,
            "optimizer": progress.optimizer,
        }
        self._write(LAST, state, len(progress.history))

    def _write(self, name: str, state: Any, epoch: int) -> None:
        path = self.folder / name
        temporary = path.with_name(f".{name}.{os.getpid()}")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            torch.save(state, temporary)
            temporary.replace(path)
        except (OSError, RuntimeError) as error:  # torch's own writer tells of a full disk as RuntimeError
            raise CheckpointError(self._refusal(path, epoch, error)) from error
        finally:
            with suppress(OSError):
                temporary.unlink()

    def _refusal(self, path: Path, epoch: int, error: Exception) -> str:
        place = next(folder for folder in (self.folder, *self.folder.parents) if folder.exists())
        free = shutil.disk_usage(place).free
        reason = error.strerror if isinstance(error, OSError) and error.strerror else " ".join(str(error).split())[:200]
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            reason = "the disk is full"
        kept = f"That of epoch {epoch - 1} is kept" if (self.folder / LAST).is_file() else "There is none from before"
        return (
            f"{path}: the checkpoint of epoch {epoch} cannot be written ({reason}; {free / 1e6:,.0f} MB are free). "
            f"{kept}: free space, or choose another folder, and run the same again."
        )

    def _read(self, path: Path) -> dict[str, Any]:
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:
            raise CheckpointError(
                f"{path}: does not read ({type(error).__name__}). Remove the folder {self.folder} to begin anew."
            ) from error
        if not isinstance(state, dict):
            raise CheckpointError(f"{path}: is no checkpoint. Remove the folder {self.folder} to begin anew.")
        return state
