"""Few-shot evaluation in one call."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from medimeta.catalogue.schema import TaskCard
from medimeta.errors import WeightsError
from medimeta.learning.device import Accelerator, Devices
from medimeta.learning.fewshot.config import FewShotConfig
from medimeta.learning.fewshot.result import FewShotResult
from medimeta.learning.fewshot.run import EpisodeDone, run_few_shot
from medimeta.loading.dataset import TaskDataset, load
from medimeta.store.manifest import digest_file

ORIGINS = ("imagenet", "none")


def few_shot(
    task: str | TaskCard | TaskDataset,
    method: str = "finetune",
    *,
    root: str | os.PathLike[str] | None = None,
    weights: str | os.PathLike[str] = "imagenet",
    devices: Devices = "auto",
    accelerator: Accelerator = "auto",
    folder: str | os.PathLike[str] | None = None,
    episode_done: EpisodeDone | None = None,
    **settings: Any,
) -> FewShotResult:
    """Evaluate a few-shot method on a task.

    Without further settings by the protocol of release 1.0: 100 episodes of 5 shots and 10 queries a class, drawn from
    all splits of the dataset.

    Parameters
    ----------
    task : str, TaskCard or TaskDataset
        ``dataset/task``, of which all samples are loaded; or a dataset with one task, as it is.
    method : str
        ``"finetune"``, ``"linear-probe"``, ``"protonet"`` or ``"maml"``.
    root : path, optional
        Root folder; else ``$MEDIMETA_ROOT``, else ``./data``.
    weights : str or path
        ``"imagenet"``, ``"none"`` (from scratch), or a weights file, such as that of a pre-trained backbone.
    devices, accelerator, folder, episode_done
        See `run_few_shot`.
    **settings
        Fields of `FewShotConfig`: backbone, shots, queries, ways, episodes, seed and others.

    Returns
    -------
    FewShotResult
        AUROC and accuracy of every episode, their means and intervals.

    Raises
    ------
    UsageError
        Settings that cannot be used, all of them told; and what `run_few_shot` raises.

    Examples
    --------
    >>> import medimeta as mm
    >>> result = mm.few_shot(
    ...     "pbc/cell class", "linear-probe", root=getfixture("small_root"), weights="none",
    ...     backbone="test_resnet.r160_in1k", shots=3, queries=4, ways=4, episodes=10,
    ... )
    >>> low, high = result.interval
    >>> low < result.auroc < high
    True
    """
    dataset = task if isinstance(task, TaskDataset) else load(task, root)
    file = None if weights in ORIGINS else Path(weights)
    origin = str(weights) if file is None else _origin(file)
    config = FewShotConfig().changed(method=method, weights=origin, **settings)
    return run_few_shot(
        dataset,
        config,
        weights=file,
        devices=devices,
        accelerator=accelerator,
        folder=None if folder is None else Path(folder),
        episode_done=episode_done,
    )


def _origin(file: Path) -> str:
    if not file.is_file():
        raise WeightsError(f"{file}: there is no such file. Pass imagenet, none, or the path of a weights file.")
    return f"sha256:{digest_file(file).sha256}"
