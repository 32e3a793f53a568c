"""Pre-train a backbone on many tasks, by the settings of a `PretrainConfig`."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from medimeta.catalogue.schema import TaskCard
from medimeta.errors import UsageError
from medimeta.learning.backbones import make_backbone
from medimeta.learning.device import Devices, check_devices, device_name, gpus
from medimeta.learning.model_card import TrainedOn
from medimeta.learning.multitask import MultiTaskModel
from medimeta.learning.pretraining.config import PretrainConfig
from medimeta.learning.pretraining.fit import Fitted, fit
from medimeta.learning.pretraining.modules import MetaModule, MultiTaskModule, PretrainModule
from medimeta.learning.pretraining.result import FORMAT_VERSION, Pretrained, read_finished, write_result
from medimeta.learning.pretraining.sources import Pair, Sources, check_sources, sources_of
from medimeta.learning.provenance import package, versions
from medimeta.learning.train import EpochDone, quiet

CHECKPOINTS = ".checkpoints-"  # and a part of the identity, so that those of other settings or data count for nothing


def pretrain(
    datasets: Sequence[Pair],
    config: PretrainConfig | None = None,
    *,
    tasks: Sequence[TaskCard] | None = None,
    weights: str | Path | None = None,
    devices: Devices = "auto",
    nodes: int = 1,
    folder: str | Path | None = None,
    epoch_done: EpochDone | None = None,
) -> Pretrained:
    """Pre-train a backbone on several tasks of one dataset, or on tasks of many.

    Parameters
    ----------
    datasets : sequence of (TaskDataset, TaskDataset)
        The train and the val set of each task. Or one pair that was loaded without a task: then all tasks are learned
        from the same images, each read once a step.
    config : PretrainConfig, optional
        The settings; those of the protocol without it.
    tasks : sequence of TaskCard, optional
        Some of the tasks of such a pair; all without it.
    weights : Path, optional
        Weights file to start from, where ``config.weights`` says so.
    devices, nodes : int or "auto", int
        As in training.
    folder : Path, optional
        Where checkpoints and the result go. What is finished there, with the same settings and data, is kept; what was
        cut off is resumed from its last epoch, and ends with the same weights. Nothing is written without it.
    epoch_done : callable, optional
        Called after each epoch.

    Returns
    -------
    Pretrained
        The weights of the epoch with the best mean validation AUROC over the tasks, and their record.

    Raises
    ------
    UsageError
        Data or settings that cannot be used; all that is wrong is told at once.
    WeightsError
        The weights to start from cannot be had, or do not fit.
    MedimetaError
        Training diverged in its first epoch; memory or disk are too small.

    Examples
    --------
    >>> import medimeta as mm
    >>> names = ["bus/malignancy", "pbc/cell class"]
    >>> root = getfixture("bus_root")
    >>> pairs = [tuple(mm.load(name, root=root, split=split) for split in ("train", "val")) for name in names]
    >>> settings = {"backbone": "test_resnet.r160_in1k", "weights": "none", "max_epochs": 1}
    >>> pretrained = pretrain(pairs, PretrainConfig(**settings))
    >>> pretrained.record["tasks"], pretrained.record["training"]["best_epoch"]
    (['bus/malignancy', 'pbc/cell class'], 1)
    """
    return run_pretraining(
        sources_of(datasets, tasks),
        config or PretrainConfig(),
        weights=None if weights is None else Path(weights),
        devices=devices,
        nodes=nodes,
        folder=None if folder is None else Path(folder),
        epoch_done=epoch_done,
    )


def run_pretraining(
    sources: Sources,
    config: PretrainConfig,
    *,
    weights: Path | None = None,
    devices: Devices = "auto",
    nodes: int = 1,
    folder: Path | None = None,
    epoch_done: EpochDone | None = None,
    said: dict[str, Any] | None = None,
) -> Pretrained:
    """Do what `pretrain` does for sources; `said` is further told by the record."""
    check_devices(devices, nodes=nodes)
    check_sources(sources, config)
    if (weights is None) == config.weights.startswith("sha256:"):
        raise UsageError(f"the settings say weights {config.weights!r}, but the file given is {weights}.")
    identity = identity_of(sources, config)
    finished = None if folder is None else read_finished(folder, identity)
    if finished is not None:
        return finished
    with quiet(), torch.random.fork_rng(gpus()), _checkpoints(folder, identity) as checkpoints:
        torch.manual_seed(config.seed)
        module = _module(sources, config, weights)
        fitted = fit(module, checkpoints, devices=devices, nodes=nodes, epoch_done=epoch_done)
        model = module.model.cpu().eval()
        record = {**_record(sources, config, identity, module, fitted), **(said or {})}
        if folder is None or not module_is_first(module):
            return Pretrained(model, record, folder)
        return write_result(folder, model, record, sources)


def identity_of(sources: Sources, config: PretrainConfig) -> str:
    """Return the digest of all that decides about the result: settings, tasks, and data."""
    digest = hashlib.sha256(f"{config.digest()} {[task.id for task in sources.tasks]} ".encode())
    for pair in sources.pairs:
        for part in pair:
            digest.update(f"{part.stored.fingerprint()} {len(part)} ".encode())
            digest.update(part.indices.astype("<i8").tobytes())
    return digest.hexdigest()


def folder_name(config: PretrainConfig, identity: str) -> str:
    """Return the name of the folder of a result, different for different settings and data."""
    return f"{config.method}-{config.backbone}-{identity[:12]}"


def module_is_first(module: PretrainModule) -> bool:
    """Whether this process is the one that writes."""
    return bool(module.global_rank == 0)


def _module(sources: Sources, config: PretrainConfig, weights: Path | None) -> PretrainModule:
    backbone = make_backbone(config.backbone, pretrained=config.weights == "imagenet", weights=weights)
    meta = config.method == "maml"
    heads = () if meta else sources.tasks
    model = MultiTaskModel(backbone, heads, channels=3, size=sources.size, normalize=config.normalize)
    model = model.to(memory_format=torch.channels_last)
    return MetaModule(model, sources, config) if meta else MultiTaskModule(model, sources, config)


def _record(
    sources: Sources, config: PretrainConfig, identity: str, module: PretrainModule, fitted: Fitted
) -> dict[str, Any]:
    pairs = {task.id: sources.pair(task) for task in sources.tasks}
    return {
        "format_version": FORMAT_VERSION,
        "identity": identity,
        "method": config.method,
        "backbone": config.backbone,
        "weights": config.weights,
        "seed": config.seed,
        "config": config.as_dict(),
        "config_sha256": config.digest(),
        "tasks": list(pairs),
        "samples": {name: {"train": len(pair[0]), "val": len(pair[1])} for name, pair in pairs.items()},
        "classes": {name: list(classes) for name, classes in module.classes.items()},
        "not_validated": list(module.not_validated),
        "data": {name: TrainedOn.of(stored).model_dump(mode="json") for name, stored in sources.stored.items()},
        "training": {
            "chosen_by": module.monitor,
            "best_epoch": fitted.best_epoch,
            "epochs": fitted.epochs,
            "history": fitted.history,
        },
        "seconds": fitted.seconds,
        "package": package(),
        "versions": versions(),
        "device": device_name(),
    }


@contextmanager
def _checkpoints(folder: Path | None, identity: str) -> Iterator[Path]:
    """Give a folder for checkpoints; it is removed at the end, but kept where that never came."""
    if folder is None:
        with tempfile.TemporaryDirectory(prefix="medimeta-") as temporary:
            yield Path(temporary)
        return
    place = folder / f"{CHECKPOINTS}{identity[:12]}"
    yield place
    shutil.rmtree(place, ignore_errors=True)
