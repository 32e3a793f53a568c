"""What pre-training leaves: weights for every other verb, a record, a card, and a model where it has heads."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medimeta._files import write_whole
from medimeta._optional import require
from medimeta.errors import MedimetaError
from medimeta.learning.model_card import describe_model
from medimeta.learning.multitask import MultiTaskModel
from medimeta.learning.pretraining.readme import readme_text
from medimeta.learning.pretraining.sources import Sources
from medimeta.learning.saved_model import save_model

FORMAT_VERSION = 1
WEIGHTS, RECORD, README, MODEL = "backbone.safetensors", "pretraining.json", "README.md", "model"


@dataclass(frozen=True, eq=False)
class Pretrained:
    """A pre-trained backbone, as it was after its best epoch.

    Attributes
    ----------
    model : MultiTaskModel or None
        On the CPU, in evaluation mode; meta-training leaves it without heads. None where a finished result was found.
    record : mapping
        All that the weights depend on: settings, tasks, data and their terms, versions, every epoch.
    folder : Path or None
        Where it was written.
    kept : bool
        Whether it was finished before.
    """

    model: MultiTaskModel | None
    record: Mapping[str, Any]
    folder: Path | None
    kept: bool = False

    @property
    def weights(self) -> Path | None:
        """The file that ``--weights`` takes."""
        return None if self.folder is None else self.folder / WEIGHTS


def write_result(folder: Path, model: MultiTaskModel, record: Mapping[str, Any], sources: Sources) -> Pretrained:
    """Write everything, the record last: a record that is there is finished.

    Raises
    ------
    MedimetaError
        The folder cannot be written.
    """
    try:
        weights = backbone_bytes(model)
        write_whole(folder / WEIGHTS, weights)
        record = {**record, "weights_sha256": hashlib.sha256(weights).hexdigest()}
        if model.tasks:
            save_model(folder / MODEL, model, _card(model, record, sources))
        write_whole(folder / README, readme_text(record).encode())
        write_whole(folder / RECORD, (json.dumps(_plain(record), indent=1, ensure_ascii=False) + "\n").encode())
    except OSError as error:
        raise MedimetaError(f"{folder}: cannot be written ({error.strerror or error}).") from error
    return Pretrained(model, record, folder)


def read_finished(folder: Path, identity: str) -> Pretrained | None:
    """Return what lies in a folder, if it is a whole result of the same settings and data; else None."""
    try:
        record = json.loads((folder / RECORD).read_bytes())
        with (folder / WEIGHTS).open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except (FileNotFoundError, ValueError):
        return None
    said = {"format_version": FORMAT_VERSION, "identity": identity, "weights_sha256": digest}
    if not isinstance(record, dict) or any(record.get(name) != value for name, value in said.items()):
        return None
    return Pretrained(None, record, folder, kept=True)


def backbone_bytes(model: MultiTaskModel) -> bytes:
    """Return the backbone's weights as the bytes of a safetensors file; the same for the same weights."""
    state = model.backbone.state_dict()
    tensors = {name: value.detach().cpu().contiguous().clone() for name, value in sorted(state.items())}
    data: bytes = require("safetensors.torch").save(tensors, metadata={"format": "pt"})
    return data


def _card(model: MultiTaskModel, record: Mapping[str, Any], sources: Sources) -> Any:
    training = record["training"]
    best: Mapping[str, float] = training["history"][training["best_epoch"] - 1]["val_auroc_by_task"]
    samples = record["samples"]
    return describe_model(
        model,
        list(sources.stored.values()),
        backbone=record["backbone"],
        config=record["config"],
        config_sha256=record["config_sha256"],
        scores={name: {"val": {"samples": samples[name]["val"], "auroc": value}} for name, value in best.items()},
        package=record["package"],
        versions=record["versions"],
        device=record["device"],
        starts_from=record["weights"],
        method=record["method"],
        training={name: value for name, value in training.items() if name != "history"},
    )


def _plain(value: Any) -> Any:
    """Return a value as JSON has it: None for what is not a number."""
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
