"""What Lightning needs to know of pre-training: a step and a validation, with a head for each task or on episodes."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterable
from typing import Any

import lightning
import numpy as np
import numpy.typing as npt
import torch
from torch import distributed

from medimeta.catalogue.schema import TaskCard, normalised
from medimeta.errors import UsageError
from medimeta.learning.maml import InnerLoop, Learner
from medimeta.learning.metrics import macro_auroc
from medimeta.learning.multitask import MultiTaskModel
from medimeta.learning.pretraining.batches import EpisodeBatch, EpisodeBatches, TaskBatch, TaskBatches
from medimeta.learning.pretraining.config import PretrainConfig
from medimeta.learning.pretraining.sources import Sources, train_episodes, val_episodes
from medimeta.store.table import class_indices

Found = tuple[str, int, float, Any]
"""What a rank found in validation: a task, of how many images, their mean loss, and what gives the AUROC."""


class PretrainModule(lightning.LightningModule):
    """What both ways of pre-training share.

    Attributes
    ----------
    model : MultiTaskModel
        What is trained.
    monitor : str
        The figure that the best epoch is chosen by.
    not_validated : tuple of str
        Tasks whose val set does not allow an AUROC.
    by_task : dict of str to float
        Validation AUROC of each task, after the last epoch.
    """

    model: MultiTaskModel
    monitor = "val_auroc"
    not_validated: tuple[str, ...] = ()

    def __init__(self, model: MultiTaskModel, sources: Sources, config: PretrainConfig) -> None:
        super().__init__()
        self.model = model
        self.sources = sources
        self.config = config
        self.by_task: dict[str, float] = {}
        self._found: list[Found] = []

    @property
    def classes(self) -> dict[str, tuple[str, ...]]:
        """The classes of each task that are learned."""
        return {task.id: task.classes for task in self.sources.tasks}

    def on_train_epoch_start(self) -> None:
        """Seed what draws inside of layers, such as dropout, so that a resumed epoch draws the same."""
        torch.manual_seed(int(np.random.SeedSequence((self.config.seed, self.current_epoch)).generate_state(1)[0]))

    def on_validation_epoch_start(self) -> None:
        """Pool the running averages of all ranks, so that every rank validates the same model."""
        averages = [each for each in self.model.buffers() if each.is_floating_point()]
        _mean_over_ranks(averages)

    def on_validation_epoch_end(self) -> None:
        """Log the mean loss over the tasks, and the mean AUROC over those that have one."""
        found = _gathered(self._found)
        self._found = []
        by_task = {task.id: [rest for name, *rest in found if name == task.id] for task in self.sources.tasks}
        losses = [_mean_loss(rows) for rows in by_task.values() if rows]
        self.by_task = {
            task.id: self._auroc(task, [seen for *_, seen in by_task[task.id]])
            for task in self.sources.tasks
            if task.id not in self.not_validated
        }
        self.log("val_loss", float(np.mean(losses)))
        self.log("val_auroc", float(np.mean([*self.by_task.values()])) if self.by_task else math.nan)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return Adam over all weights."""
        return torch.optim.Adam(self.parameters(), lr=self.config.learning_rate)

    @abstractmethod
    def _auroc(self, task: TaskCard, seen: list[Any]) -> float:
        """Return the validation AUROC of a task; NaN where scores are not finite."""

    def _epoch(self) -> int:
        return int(self.current_epoch)


class MultiTaskModule(PretrainModule):
    """A head for each task; the loss of a batch is the weighted mean over the tasks that it has labels of."""

    def __init__(self, model: MultiTaskModel, sources: Sources, config: PretrainConfig) -> None:
        super().__init__(model, sources, config)
        given = {normalised(name): weight for name, weight in config.task_weights.items()}
        weights = {task.id: given.get(normalised(task.id), 1.0) for task in sources.tasks}
        mean = sum(weights.values()) / len(weights)
        self._weights = {name: weight / mean for name, weight in weights.items()}
        self._cards = {task.id: task for task in sources.tasks}
        self.not_validated = tuple(task.id for task in sources.tasks if math.isnan(_auroc_of_chance(sources, task)))
        if len(self.not_validated) == len(sources.tasks):
            self.monitor = "val_loss"

    def train_dataloader(self) -> TaskBatches:
        """Return the training batches of this rank."""
        return TaskBatches(self.sources, self.config, "train", self.device, self._epoch)

    def val_dataloader(self) -> TaskBatches:
        """Return the validation batches of this rank."""
        return TaskBatches(self.sources, self.config, "val", self.device)

    def training_step(self, batch: TaskBatch, _: int) -> torch.Tensor:
        """Return the loss of a batch."""
        images, labels = batch
        if len(images) == 1:  # batch normalisation has no statistics of one image: twice itself has, and the same loss
            images, labels = (
                images.expand(2, -1, -1, -1),
                {name: each.repeat_interleave(2, 0) for name, each in labels.items()},
            )
        features = self.model.features(images)
        losses = []
        for name, each in labels.items():
            head = self.model.head(name)
            losses.append(self._weights[name] * head.loss(head(features), self._targets(name, each)))
        loss = torch.stack(losses).mean()
        self.log("train_loss", loss.detach(), on_step=False, on_epoch=True, batch_size=len(images), sync_dist=True)
        return loss

    def validation_step(self, batch: TaskBatch | tuple[()], _: int) -> None:
        """Keep labels and scores of a batch."""
        if not batch:
            return
        images, labels = batch
        features = self.model.features(images)
        for name, each in labels.items():
            head = self.model.head(name)
            logits = head(features)
            loss = head.loss(logits, self._targets(name, each))
            seen = each.cpu().numpy(), head.scores(logits).double().cpu().numpy()
            self._found.append((name, len(images), float(loss), seen))

    def _auroc(self, task: TaskCard, seen: list[tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]]) -> float:
        labels, scores = (np.concatenate(part) for part in zip(*seen, strict=True))
        return macro_auroc(task, labels, scores) if np.isfinite(scores).all() else math.nan

    def _targets(self, name: str, labels: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(class_indices(self._cards[name], labels.cpu().numpy())).to(labels.device)


class MetaModule(PretrainModule):
    """MAML: the loss is that of query sets after the inner loop on their support sets."""

    def __init__(self, model: MultiTaskModel, sources: Sources, config: PretrainConfig) -> None:
        super().__init__(model, sources, config)
        self.automatic_optimization = False  # gradients of one episode at a time: a graph of several is too large
        self._learner = Learner(model.backbone, model.feature_length, config.inner, batch_norm=config.inner_batch_norm)
        constant = InnerLoop(config.inner_steps, config.inner_learning_rate, order=1)
        self._tester = Learner(model.backbone, model.feature_length, constant, batch_norm=config.inner_batch_norm)
        self._train = [train_episodes(train_set, config) for train_set, _ in sources.pairs]
        self._val = [episodes for _, val_set in sources.pairs if (episodes := val_episodes(val_set, config))]
        validated = {episodes.task.id for episodes in self._val}
        self.not_validated = tuple(task.id for task in sources.tasks if task.id not in validated)
        if not self._val:
            raise UsageError(
                "meta-training chooses its best epoch by episodes of the val sets, but none of these has two classes "
                f"of two images: {', '.join(self.not_validated)}."
            )

    @property
    def classes(self) -> dict[str, tuple[str, ...]]:
        """The classes of each task that have images enough for episodes."""
        return {episodes.task.id: episodes.classes for episodes in self._train}

    def train_dataloader(self) -> EpisodeBatches:
        """Return the training episodes of this rank."""
        return EpisodeBatches(self._train, self.config, self.device, self._epoch)

    def val_dataloader(self) -> EpisodeBatches:
        """Return the validation episodes of this rank."""
        return EpisodeBatches(self._val, self.config, self.device)

    def training_step(self, batch: list[EpisodeBatch], _: int) -> None:
        """Take a step of the outer loop."""
        weights = [each for each in self.model.backbone.parameters() if each.requires_grad]
        sums = [torch.zeros_like(each) for each in weights]
        losses = []
        for episode in batch:
            adapted = self._learner.adapt(episode.task, self.model.prepare(episode.support), episode.support_labels)
            loss = adapted.loss(self.model.prepare(episode.query), episode.query_labels)
            for total, part in zip(sums, torch.autograd.grad(loss, weights, allow_unused=True), strict=True):
                if part is not None:
                    total += part / len(batch)
            losses.append(loss.detach())
        for weight, total in zip(weights, _mean_over_ranks(sums), strict=True):
            weight.grad = total
        optimizer: Any = self.optimizers()
        optimizer.step()
        optimizer.zero_grad()
        for episode in batch:
            self._learner.follow(self.model.prepare(episode.support))
        mean = torch.stack(losses).mean()
        self.log("train_loss", mean, on_step=False, on_epoch=True, batch_size=len(batch), sync_dist=True)

    def validation_step(self, batch: list[EpisodeBatch], _: int) -> None:
        """Keep the loss and the AUROC of episodes."""
        for episode in batch:
            adapted = self._tester.adapt(episode.task, self.model.prepare(episode.support), episode.support_labels)
            logits = adapted.logits(self.model.prepare(episode.query))
            loss = adapted.head.loss(logits, episode.query_labels)
            scores = adapted.head.scores(logits).double().cpu().numpy()
            labels = episode.query_labels.cpu().numpy()
            auroc = macro_auroc(episode.task, labels, scores) if np.isfinite(scores).all() else math.nan
            self._found.append((episode.task.id, len(labels), float(loss), auroc))

    def _auroc(self, task: TaskCard, seen: list[float]) -> float:
        return float(np.mean(seen))


def _mean_over_ranks(tensors: list[torch.Tensor]) -> list[torch.Tensor]:
    if distributed.is_available() and distributed.is_initialized():
        for tensor in tensors:
            distributed.all_reduce(tensor)
            tensor /= distributed.get_world_size()
    return tensors


def _gathered(found: Iterable[Found]) -> list[Found]:
    """Return what all ranks found; the same on each."""
    mine = list(found)
    if not (distributed.is_available() and distributed.is_initialized()):
        return mine
    everyone: list[Any] = [None] * distributed.get_world_size()
    distributed.all_gather_object(everyone, mine)
    return [one for rank in everyone for one in rank]


def _mean_loss(rows: list[list[Any]]) -> float:
    images, losses = (np.array(column) for column in list(zip(*rows, strict=True))[:2])
    return float(np.average(losses, weights=images))


def _auroc_of_chance(sources: Sources, task: TaskCard) -> float:
    """Return the AUROC of constant scores: one half, or NaN where the val set's labels do not define an AUROC."""
    val_set = sources.pair(task)[1]
    labels = val_set.labels
    if isinstance(labels, dict):
        labels = labels[task.name]
    shape = (len(labels),) if task.outputs == 1 else (len(labels), task.outputs)
    return macro_auroc(task, labels, np.zeros(shape))
