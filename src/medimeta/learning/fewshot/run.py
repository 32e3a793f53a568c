"""Evaluate a few-shot method on a task: draw the episodes, solve each, and gather the figures."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch

from medimeta._version import __version__
from medimeta.errors import MedimetaError, OutOfMemoryError, UsageError
from medimeta.learning.backbones import make_backbone
from medimeta.learning.device import Accelerator, Devices, check_devices, device_of, gpus
from medimeta.learning.fewshot.config import FewShotConfig
from medimeta.learning.fewshot.drawn import draw
from medimeta.learning.fewshot.journal import Journal
from medimeta.learning.fewshot.method import FeatureMethod
from medimeta.learning.fewshot.methods import METHODS
from medimeta.learning.fewshot.result import FewShotResult
from medimeta.learning.fewshot.scoring import accuracy, auroc
from medimeta.learning.fewshot.solving import Solved, solve_by_features, solve_by_network
from medimeta.learning.training.failures import is_out_of_memory
from medimeta.loading.dataset import TaskDataset
from medimeta.loading.episode_data import digest
from medimeta.loading.episodes import Episodes

EpisodeDone = Callable[[int, float], None]
"""Called as ``episode_done(finished, auroc)`` after each episode: how many are finished, and the AUROC of the last."""


def run_few_shot(
    dataset: TaskDataset,
    config: FewShotConfig,
    *,
    weights: Path | None = None,
    devices: Devices = "auto",
    accelerator: Accelerator = "auto",
    folder: Path | None = None,
    episode_done: EpisodeDone | None = None,
) -> FewShotResult:
    """Evaluate a few-shot method on the episodes of a task.

    Episode `i` depends on the data, the settings and `i` alone. On the CPU, the same call gives the same bytes.

    Parameters
    ----------
    dataset : TaskDataset
        The images that episodes are drawn from; by the protocol all of a dataset, whatever the split.
    config : FewShotConfig
        The settings.
    weights : Path, optional
        Weights file of the backbone, where ``config.weights`` says so.
    devices : 1 or "auto"
        Episodes are solved on one device.
    accelerator : {"auto", "cpu", "gpu"}
        What to compute on; ``"auto"`` is the GPU where there is one.
    folder : Path, optional
        Keeps what is finished, so that an evaluation that was killed goes on where it was, with the same numbers. It
        may be removed afterwards.
    episode_done : callable, optional
        Called after each episode.

    Returns
    -------
    FewShotResult
        AUROC and accuracy of every episode, their means and intervals.

    Raises
    ------
    UsageError
        The dataset has several tasks, a transform, or too few images or classes; there is no such device.
    WeightsError
        The weights cannot be had, or do not fit.
    DivergedError
        Predictions of an episode are not finite numbers.
    OutOfMemoryError
        There is too little memory; a batch size to try is named.
    StoreError
        The folder cannot be written.

    Examples
    --------
    >>> import medimeta as mm
    >>> ds = mm.load("bus/malignancy", root=getfixture("small_root"))
    >>> config = FewShotConfig(
    ...     method="protonet", backbone="test_resnet.r160_in1k", weights="none", shots=2, queries=3, episodes=5
    ... )
    >>> result = run_few_shot(ds, config)
    >>> result.aurocs.shape, 0 <= result.auroc <= 1
    ((5,), True)
    """
    if (weights is None) == config.weights.startswith("sha256:"):
        raise UsageError(f"the settings say weights {config.weights!r}, but the file given is {weights}.")
    if devices not in ("auto", 1):
        raise UsageError(f"episodes are solved on one device, got devices={devices!r}. Pass 1 or auto.")
    check_devices(devices, accelerator)
    started = time.perf_counter()
    episodes = draw(dataset, config)
    journal = Journal(folder, _identity(dataset, config) if folder else ())
    solved, aurocs, accuracies = [], [], []
    with _memory_explained(config):
        for drawn, scores in _solve(episodes, config, weights, device_of(accelerator), journal):
            labels = drawn.episode.query_labels()
            solved.append((drawn, scores))
            aurocs.append(auroc(drawn.task, labels, scores))
            accuracies.append(accuracy(drawn.task, labels, scores))
            if episode_done is not None:
                episode_done(len(solved), aurocs[-1])
    return FewShotResult(
        task=episodes.task.id,
        config=config,
        classes=episodes.classes,
        left_out=episodes.left_out,
        ways=None if episodes.settings["ways"] is None else len(solved[0][0].episode.classes),
        subjects_known=episodes.subjects_known,
        aurocs=np.array(aurocs),
        accuracies=np.array(accuracies),
        seconds=time.perf_counter() - started,
        images=sum(len(drawn.episode.support) + len(drawn.episode.query) for drawn, _ in solved),
        predictions=_predictions(solved, dataset),
    )


def _solve(
    episodes: Episodes, config: FewShotConfig, weights: Path | None, device: torch.device, journal: Journal
) -> Iterator[Solved]:
    method = METHODS[config.method]
    with torch.random.fork_rng(gpus()):
        torch.manual_seed(config.seed)
        backbone = make_backbone(config.backbone, pretrained=config.weights == "imagenet", weights=weights)
    backbone = backbone.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    if isinstance(method, FeatureMethod):
        return solve_by_features(method, backbone, episodes, config, journal)
    return solve_by_network(method, backbone, episodes, config, journal)


def _identity(dataset: TaskDataset, config: FewShotConfig) -> tuple[str, ...]:
    """Return all that the numbers of an evaluation depend on."""
    task = "" if dataset.task is None else dataset.task.id
    samples = digest("samples", dataset.indices)
    return __version__, task, dataset.stored.fingerprint(), samples, config.digest()


def _predictions(solved: list[Solved], dataset: TaskDataset) -> dict[str, np.ndarray]:
    episodes = [drawn.episode for drawn, _ in solved]
    names = () if dataset.task is None else dataset.task.classes

    def numbers(sets: list[np.ndarray]) -> np.ndarray:
        return np.repeat(np.arange(len(sets)), [len(places) for places in sets])

    supports, queries = [episode.support for episode in episodes], [episode.query for episode in episodes]
    return {
        "episode": numbers(queries),
        "samples": dataset.indices[np.concatenate(queries)],
        "labels": np.concatenate([episode.query_labels() for episode in episodes]),
        "scores": np.concatenate([scores for _, scores in solved]),
        "classes": np.array([[names.index(name) for name in episode.classes] for episode in episodes]),
        "support_episode": numbers(supports),
        "support_samples": dataset.indices[np.concatenate(supports)],
    }


@contextmanager
def _memory_explained(config: FewShotConfig) -> Iterator[None]:
    """Say what to do where memory is too small."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if isinstance(error, MedimetaError) or not is_out_of_memory(error):
            raise
        fewer = f"batch_size={config.batch_size // 2}" if config.batch_size > 1 else "fewer shots or queries"
        raise OutOfMemoryError(
            f"{config.backbone} ran out of memory with batches of {config.batch_size} images. Try {fewer}, or a "
            f"smaller backbone."
        ) from error
