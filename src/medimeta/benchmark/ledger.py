"""The folder of results while cells are run: which are finished, and what is written of each that ends."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from medimeta._files import write_whole
from medimeta._interrupts import held_back
from medimeta._locks import LockedError, NoLocksError, lock
from medimeta.benchmark.cell import Cell
from medimeta.benchmark.cell_job import Finished, checkpoints
from medimeta.benchmark.job import Failure
from medimeta.benchmark.record import Record, examine_record, kept_problem, write_record
from medimeta.errors import ResultsLockedError, RootNotWritableError
from medimeta.learning.provenance import package, versions
from medimeta.learning.training.processes import first_rank

LOCK = ".running.lock"


class Ledger:
    """Results of cells in one folder.

    Parameters
    ----------
    out : Path
        The folder; made if missing.

    Raises
    ------
    RootNotWritableError
        It cannot be written.
    """

    def __init__(self, out: Path) -> None:
        self.out = out.absolute()
        self._data: dict[Path, str] = {}
        try:
            trial = out / f".writable.{os.getpid()}"  # another run may try the same folder now
            write_whole(trial, b"")
            trial.unlink()
        except OSError as error:
            raise _unwritable(out, error) from error

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other processes from writing results there, as far as the file system has locks.

        Processes that torchrun or SLURM has started train the same cells together: the first of them holds the folder.

        Raises
        ------
        ResultsLockedError
            Another process writes there now.
        """
        with ExitStack() as held:
            try:
                if first_rank():
                    held.enter_context(lock(self.out / LOCK))
            except LockedError as error:
                raise ResultsLockedError(
                    f"{self.out}: process {error.holder or 'of another command'} runs cells into this folder. Wait for "
                    f"it, then give the same command again, or pass another folder as --out. Several cells at a time "
                    f"are run by --jobs or --dask."
                ) from None
            except NoLocksError:
                pass
            except OSError as error:
                raise _unwritable(self.out, error) from error
            yield

    def finished(self, cell: Cell, *, models: bool = True) -> Record | None:
        """Return the record of a cell that was run before with the same settings on the same data."""
        return finished(cell, self.out, self.data(cell), models=models)

    def data(self, cell: Cell) -> str:
        """Return the digest of a cell's data, computed once for all cells of a dataset."""
        folder = cell.stored.folder
        if folder not in self._data:
            self._data[folder] = cell.stored.fingerprint()
        return self._data[folder]

    def keep(self, cell: Cell, done: Finished) -> Record:
        """Write what a cell has left; its record comes last, as a cell with a record is finished.

        Raises
        ------
        RootNotWritableError
            It cannot be written, as where the disk is full.
        """
        with held_back(), self._written(cell):
            record = write_record(self.out / f"{cell.name}.json", done.record, done.predictions, done.model)
            failure_file(cell, self.out).unlink(missing_ok=True)
            shutil.rmtree(checkpoints(cell, self.out, done.record.data), ignore_errors=True)
        return record

    def note(self, cell: Cell, failure: Failure, attempts: int) -> None:
        """Write why a cell has failed, beside where its record would be."""
        told = {
            "cell": cell.title,
            "error": failure.message,
            "kind": failure.kind,
            "traceback": failure.trace or None,
            "attempts": attempts,
            "config": cell.config.as_dict(),
            "data": self.data(cell),
            "package": package(),
            "versions": versions(),
        }
        with self._written(cell):
            write_whole(failure_file(cell, self.out), (json.dumps(told, indent=1, ensure_ascii=False) + "\n").encode())

    @contextmanager
    def _written(self, cell: Cell) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise RootNotWritableError(
                f"{self.out / cell.name}: cannot be written ({error.strerror}). Make room, or pass another folder as "
                f"--out. Finished cells are kept; the same command goes on with the others."
            ) from error


def finished(cell: Cell, out: Path, data: str | None = None, *, models: bool = True) -> Record | None:
    """Return the record of a cell that was run before with the same settings on the same data, whole."""
    return looked_up(cell, out, data, models=models)[0]


def looked_up(cell: Cell, out: Path, data: str | None = None, *, models: bool = True) -> tuple[Record | None, str]:
    """Return the record of a finished cell, else why one that is there does not count.

    Parameters
    ----------
    cell : Cell
        The cell.
    out : Path
        The folder of the results.
    data : str, optional
        Digest of its data.
    models : bool
        Whether a trained model that the record names must be there, too.
    """
    path = out / f"{cell.name}.json"
    record = examine_record(path) if path.exists() else None
    if isinstance(record, str):
        return None, f"its record {record}"
    if record is None or record.config_sha256 != cell.config.digest():
        return None, ""
    if record.data != (data or cell.stored.fingerprint()):
        return None, f"{cell.stored.folder} has changed since it was run."
    problem = kept_problem(path, record, models=models)
    return (record, "") if problem is None else (None, problem)


def _unwritable(out: Path, error: OSError) -> RootNotWritableError:
    return RootNotWritableError(f"{out}: cannot be written ({error.strerror}). Pass another folder as --out.")


def failure_file(cell: Cell, out: Path) -> Path:
    """Return where it is noted why a cell has failed."""
    return out / f"{cell.name}.failed.json"


def state(cell: Cell, out: Path, *, models: bool = True) -> tuple[str, str]:
    """Return how far a cell is, and why it is no further: ``"finished"``, ``"failed"``, ``"begun"`` or ``"to do"``."""
    data = cell.stored.fingerprint()
    record, why = looked_up(cell, out, data, models=models)
    if record is not None:
        return "finished", ""
    try:
        return "failed", str(json.loads(failure_file(cell, out).read_bytes())["error"]).partition("\n")[0]
    except (OSError, ValueError, KeyError, TypeError):
        return ("begun" if checkpoints(cell, out, data).exists() else "to do"), why
