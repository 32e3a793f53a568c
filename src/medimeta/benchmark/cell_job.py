"""A cell as work for a worker: run its method, and put everything that its figures depend on into a record."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from medimeta.benchmark.cell import Cell
from medimeta.benchmark.job import Told
from medimeta.benchmark.methods import Method, Surroundings
from medimeta.benchmark.record import Record, SomePredictions
from medimeta.catalogue.schema import SPLITS
from medimeta.learning.device import Accelerator, Devices, device_name, uses_gpu
from medimeta.learning.memory import forget_peak, peak_megabytes
from medimeta.learning.model_card import describe_model
from medimeta.learning.provenance import package, versions
from medimeta.learning.saved_model import save_model
from medimeta.learning.training.logs import LogKind


@dataclass(frozen=True)
class Finished:
    """A finished cell, as a worker hands it to the process that writes.

    Attributes
    ----------
    record : Record
        Its record.
    predictions : mapping
        Labels and scores, as `Result` has them.
    model : mapping of str to bytes
        The files of the saved model; none where it is not kept.
    """

    record: Record
    predictions: SomePredictions
    model: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class CellJob:
    """The work of one cell.

    Attributes
    ----------
    cell, method : Cell, Method
        What is run.
    out : Path
        The folder of the results: nothing but checkpoints is written there by a worker, and only if it sees the folder.
    devices : int or "auto"
        How many devices to compute on.
    models : bool
        Whether the trained model is kept.
    nodes, accelerator : int, str
        Nodes with so many devices each, and what kind of devices.
    log : str
        What log of a training's epochs is kept beside the record.
    """

    cell: Cell
    method: Method
    out: Path
    devices: Devices = "auto"
    models: bool = True
    nodes: int = 1
    accelerator: Accelerator = "auto"
    log: LogKind = "none"

    def __call__(self, told: Told) -> Finished:
        """Run the cell."""
        cell = self.cell
        forget_peak()
        data = cell.stored.fingerprint()
        folder = checkpoints(cell, self.out, data) if self.out.is_dir() else None
        result = self.method.run(cell, self._surroundings(folder, told))
        peak = result.peak_memory_mb or peak_megabytes(gpu=uses_gpu(self.accelerator))
        manifest = cell.stored.manifest
        stem = cell.name.rpartition("/")[2]
        record = Record(
            method=cell.method,
            task=cell.task.id,
            backbone=cell.config.backbone,
            weights=cell.config.weights,
            weights_name=cell.origin.name,
            seed=cell.config.seed,
            config=cell.config.as_dict(),
            config_sha256=cell.config.digest(),
            data=data,
            data_partial=manifest is not None and manifest.partial,
            samples={split: len(cell.stored.split(split)) for split in SPLITS},
            package=package(),
            versions=versions(),
            device=device_name(self.accelerator),
            seconds=result.seconds,
            images_per_second=result.images_per_second,
            peak_memory_mb=peak,
            test=result.test,
            training=result.training,
            predictions=f"{stem}.npz",
            model=f"{stem}.model" if self.models and result.model is not None else None,
        )
        model = {} if record.model is None else _saved(result.model, record, cell)
        return Finished(record, result.predictions, model)

    def _surroundings(self, folder: Path | None, told: Told) -> Surroundings:
        log_folder = self.out / f"{self.cell.name}.log"
        return Surroundings(self.devices, folder, told, self.nodes, self.accelerator, self.log, log_folder)


def checkpoints(cell: Cell, out: Path, data: str) -> Path:
    """Return the folder of a cell's checkpoints: another for other data, so that no run goes on with them."""
    return out / f"{cell.name}-{data[:8]}.partial"


def _saved(model: Any, record: Record, cell: Cell) -> dict[str, bytes]:
    """Return the files of the saved model, with its card."""
    val = {} if record.training is None else {"val": record.training.val}
    training = None if record.training is None else record.training.model_dump(exclude={"val", "history"})
    card = describe_model(
        model,
        [cell.stored],
        backbone=record.backbone,
        config=record.config,
        config_sha256=record.config_sha256,
        scores={**val, "test": record.test},
        package=record.package,
        versions=record.versions,
        device=record.device,
        starts_from=record.weights,
        method=record.method,
        training=training,
    )
    with tempfile.TemporaryDirectory(prefix="medimeta-") as folder:
        place = save_model(Path(folder) / "model", model, card)
        return {path.name: path.read_bytes() for path in sorted(place.iterdir())}
