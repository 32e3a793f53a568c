"""Run the cells of a grid: tasks by backbones by seeds. Finished cells are kept, so that an interrupted run resumes."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from medimeta._files import write_whole
from medimeta.benchmark.protocol import paper_config
from medimeta.benchmark.record import Record, Training, package, read_record, versions, write_record
from medimeta.catalogue.schema import TaskCard
from medimeta.errors import MedimetaError, RootNotWritableError, UsageError, WeightsError
from medimeta.learning.backbones import check_backbone
from medimeta.learning.config import TrainConfig
from medimeta.learning.device import Devices, check_devices, device_name
from medimeta.learning.metrics import evaluate
from medimeta.learning.train import EpochDone, predict, train
from medimeta.loading.dataset import TaskDataset
from medimeta.store.reader import StoredDataset, resolve_task

Watcher = Callable[["Cell"], EpochDone | None]
"""Called before a cell is trained; what it returns is called after each of the cell's epochs."""


@dataclass(frozen=True)
class Cell:
    """One cell of the grid."""

    stored: StoredDataset
    task: TaskCard
    config: TrainConfig
    weights: Path | None

    @property
    def name(self) -> str:
        """Path of the cell's record below the output folder, without extension."""
        folder = re.sub(r"[^\w.-]+", "_", self.task.id.replace("/", "__"))
        kind = self.config.weights.partition(":")[0]
        return f"{folder}/{self.config.backbone}-{kind}-seed{self.config.seed}-{self.config.digest()[:8]}"


@dataclass(frozen=True)
class Outcome:
    """What became of a cell: its record, or the error that ended it."""

    cell: Cell
    record: Record | None
    error: MedimetaError | None = None
    kept: bool = False


def plan_cells(
    tasks: Sequence[str],
    backbones: Sequence[str],
    seeds: Sequence[int],
    *,
    root: Path,
    weights: Path | None = None,
    pretrained: bool = True,
    max_epochs: int = 100,
    batch_size: int | None = None,
) -> list[Cell]:
    """Lay out a grid; everything that can be wrong with its names is told before anything is trained.

    Parameters
    ----------
    tasks : sequence of str
        Tasks as ``dataset/task``; a dataset alone means its primary task.
    backbones : sequence of str
        Names that timm knows.
    seeds : sequence of int
        One run each.
    root : Path
        Where the datasets lie.
    weights : Path, optional
        A weights file for every backbone.
    pretrained : bool
        Whether to start from ImageNet weights where there is no file.
    max_epochs : int
        Upper bound of epochs.
    batch_size : int, optional
        Other than the paper's.

    Raises
    ------
    UnknownNameError, DatasetNotFoundError, WeightsError, UsageError
        A name, dataset, file or number that is not usable.
    """
    if not tasks or not backbones or not seeds:
        raise UsageError("there is nothing to run: name at least one task, one backbone and one seed.")
    for backbone in backbones:
        check_backbone(backbone)
    origin = _weights_name(weights, pretrained)
    cells = []
    for name in tasks:
        stored, card = resolve_task(name, root)
        for backbone in backbones:
            for seed in seeds:
                config = paper_config(backbone, weights=origin, seed=seed, max_epochs=max_epochs)
                if batch_size is not None:
                    config = replace(config, batch_size=batch_size)
                cells.append(Cell(stored, card or stored.info.tasks[0], config, weights))
    return list({cell.name: cell for cell in cells}.values())  # what is named twice is run once


def run_cells(
    cells: Sequence[Cell], out: Path, *, devices: Devices = "auto", watcher: Watcher | None = None
) -> Iterator[Outcome]:
    """Run cells one after another, and yield what became of each.

    A cell whose record is there, for the same settings and the same data, is kept and not run again. A cell that fails
    does not stop the others.

    Raises
    ------
    UsageError
        More devices than this version trains on.
    RootNotWritableError
        The output folder cannot be written.
    WeightsError
        Weights that one cell cannot have, no other can.
    """
    check_devices(devices)
    _check_out(out)
    for cell in cells:
        kept = finished(cell, out)
        if kept is not None:
            yield Outcome(cell, kept, kept=True)
            continue
        try:
            yield Outcome(cell, run_cell(cell, out, devices=devices, epoch_done=watcher(cell) if watcher else None))
        except WeightsError:
            raise
        except MedimetaError as error:
            yield Outcome(cell, None, error)


def finished(cell: Cell, out: Path) -> Record | None:
    """Return the record of a cell that was run before with the same settings on the same data."""
    record = read_record(out / f"{cell.name}.json")
    if record is None or record.config_sha256 != cell.config.digest() or record.data != cell.stored.fingerprint():
        return None
    return record


def run_cell(cell: Cell, out: Path, *, devices: Devices = "auto", epoch_done: EpochDone | None = None) -> Record:
    """Train one cell, test it, and write its record and predictions.

    Returns
    -------
    Record
        The finished record, as written to ``<out>/<cell name>.json``.
    """
    parts = {split: TaskDataset(cell.stored, cell.task, [split]) for split in ("train", "val", "test")}
    if not len(parts["test"]):
        raise UsageError(f"{cell.task.id}: the test split has no samples, so there is nothing to report.")
    trained = train(
        parts["train"],
        parts["val"],
        cell.config,
        weights=cell.weights,
        devices=devices,
        epoch_done=epoch_done,
    )
    predictions: dict[str, Any] = {}
    results = {}
    for split in ("val", "test"):
        labels, scores = parts[split].labels, predict(trained.model, parts[split], cell.config)
        results[split] = evaluate(cell.task, labels, scores, seed=cell.config.seed).as_dict()  # type: ignore[arg-type]
        predictions |= {
            f"{split}_indices": parts[split].indices,
            f"{split}_labels": labels,
            f"{split}_scores": scores,
        }
    path = out / f"{cell.name}.json"
    manifest = cell.stored.manifest
    record = Record(
        method="supervised",
        task=cell.task.id,
        backbone=cell.config.backbone,
        weights=cell.config.weights,
        weights_name=_name_of_weights(cell),
        seed=cell.config.seed,
        config=cell.config.as_dict(),
        config_sha256=cell.config.digest(),
        data=cell.stored.fingerprint(),
        data_partial=manifest is not None and manifest.partial,
        samples={split: len(part) for split, part in parts.items()},
        package=package(),
        versions=versions(),
        device=device_name(),
        seconds=trained.seconds,
        images_per_second=trained.images_per_second,
        test=results["test"],
        training=Training(
            chosen_by=trained.chosen_by,
            best_epoch=trained.best_epoch,
            epochs=trained.epochs,
            history=tuple(trained.history),
            val=results["val"],
        ),
        predictions=f"{path.stem}.npz",
    )
    write_record(path, record, predictions)
    return record


def _check_out(out: Path) -> None:
    try:
        write_whole(out / ".writable", b"")
        (out / ".writable").unlink()
    except OSError as error:
        raise RootNotWritableError(
            f"{out}: cannot be written ({error.strerror}). Pass another folder as --out."
        ) from error


def _name_of_weights(cell: Cell) -> str:
    if cell.weights is not None:
        return cell.weights.stem
    return "scratch" if cell.config.weights == "none" else cell.config.weights


def _weights_name(weights: Path | None, pretrained: bool) -> str:
    if weights is None:
        return "imagenet" if pretrained else "none"
    if not weights.is_file():
        raise WeightsError(f"{weights}: there is no such file. Check the path given as --weights.")
    with weights.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
