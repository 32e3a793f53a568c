"""Figures of every epoch for people and plots: a CSV file, or what TensorBoard shows."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Protocol, get_args

from medimeta._files import write_whole
from medimeta._optional import require
from medimeta.errors import unknown_name
from medimeta.learning.training.history import Figures

LogKind = Literal["none", "csv", "tensorboard"]


class Log(Protocol):
    """Something that figures are written to."""

    def write(self, history: Sequence[Figures]) -> None:
        """Take note of the figures of all epochs so far; the last is new."""

    def close(self) -> None:
        """Write what is still held back."""


class CsvLog:
    """Writes ``epochs.csv``: a line an epoch, those from before an interruption included."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "epochs.csv"

    def write(self, history: Sequence[Figures]) -> None:
        """Write the file anew; see `Log`."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["epoch", *history[0]])
        writer.writerows([epoch, *figures.values()] for epoch, figures in enumerate(history, 1))
        write_whole(self.path, text.getvalue().encode())

    def close(self) -> None:
        """Do nothing; the file is whole."""


class TensorBoardLog:
    """Writes an event file for TensorBoard; epochs that are trained again after an interruption replace the first."""

    def __init__(self, folder: Path, epochs: int) -> None:
        require("tensorboard")
        from torch.utils.tensorboard import SummaryWriter

        self._writer: Any = SummaryWriter(str(folder), purge_step=epochs + 1 if epochs else None)

    def write(self, history: Sequence[Figures]) -> None:
        """Add the last epoch; see `Log`."""
        for name, value in history[-1].items():
            self._writer.add_scalar(name, value, len(history))
        self._writer.flush()

    def close(self) -> None:
        """Close the file."""
        self._writer.close()


def check_log(kind: str) -> None:
    """See that there is such a log.

    Raises
    ------
    UnknownNameError
        There is none; names near it are offered.
    MissingDependencyError
        It needs a library that is not installed.
    """
    if kind not in get_args(LogKind):
        raise unknown_name("log", kind, get_args(LogKind))
    if kind == "tensorboard":
        require("tensorboard")


def open_log(kind: LogKind, folder: Path | None, epochs: int) -> Log | None:
    """Open a log, to go on after so many epochs; None where none is kept."""
    if kind == "none" or folder is None:
        return None
    return CsvLog(folder) if kind == "csv" else TensorBoardLog(folder, epochs)
