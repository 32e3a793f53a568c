"""The batches of a task for a Lightning trainer."""

from __future__ import annotations

import os

from lightning import LightningDataModule

from medimeta.catalogue.catalogue import check_split
from medimeta.catalogue.schema import TaskCard
from medimeta.errors import UsageError
from medimeta.loading.dataset import TaskDataset, load
from medimeta.loading.loader import BatchLoader, loader
from medimeta.loading.normalize import Statistics
from medimeta.loading.selection import name_of


class DataModule(LightningDataModule):
    """Loads a task and gives a `lightning.Trainer` batches of its splits, made by `medimeta.loader`.

    Training batches come in a new order each epoch; the others in index order. Each split is loaded when it is first
    needed. Batches go to the trainer's device as uint8 and are normalised there.

    Parameters
    ----------
    task : str or TaskCard
        ``dataset/task``, or a dataset alone: then labels are dicts of every task.
    root : path, optional
        Root folder; else ``$MEDIMETA_ROOT``, else ``./data``.
    batch_size : int
        Images a batch.
    seed : int
        Seed of the order of training batches.
    normalize : str or (mean, std), optional
        As `medimeta.loader` takes it; None gives uint8.
    rgb : bool
        Repeat grey images to three channels.
    drop_last : bool
        Leave out a last training batch that is not full.
    predict_split : str
        The split that ``trainer.predict`` gets.

    Raises
    ------
    MissingDependencyError
        Lightning is not installed.
    UsageError
        An unknown `predict_split`. When batches are asked for: a split without samples, and what `medimeta.loader`
        refuses.
    DatasetNotFoundError, DamagedStoreError
        When a split is first needed: see `medimeta.load`.

    Examples
    --------
    >>> import medimeta as mm
    >>> data = mm.DataModule("bus/malignancy", root=getfixture("bus_root"), batch_size=4, rgb=True)
    >>> images, labels = next(iter(data.train_dataloader()))
    >>> images.shape, data.task.id
    (torch.Size([4, 3, 224, 224]), 'bus/malignancy')
    """

    def __init__(
        self,
        task: str | TaskCard,
        root: str | os.PathLike[str] | None = None,
        batch_size: int = 64,
        seed: int = 0,
        *,
        normalize: Statistics | None = "imagenet",
        rgb: bool = False,
        drop_last: bool = False,
        predict_split: str = "test",
    ) -> None:
        super().__init__()
        self._name = name_of(task)
        self.root = root
        self.batch_size = batch_size
        self.seed = seed
        self.normalize = normalize
        self.rgb = rgb
        self.drop_last = drop_last
        self.predict_split = check_split(predict_split)
        self._parts: dict[str, TaskDataset] = {}

    @property
    def task(self) -> TaskCard | None:
        """The task; None where the module was made for all tasks of a dataset."""
        return self.dataset("train").task

    def dataset(self, split: str) -> TaskDataset:
        """Return the samples of a split."""
        if split not in self._parts:
            self._parts[split] = load(self._name, self.root, split)
        return self._parts[split]

    def train_dataloader(self) -> BatchLoader:
        """Return the training batches."""
        return self._batches("train", shuffle=True)

    def val_dataloader(self) -> BatchLoader:
        """Return the validation batches."""
        return self._batches("val")

    def test_dataloader(self) -> BatchLoader:
        """Return the test batches."""
        return self._batches("test")

    def predict_dataloader(self) -> BatchLoader:
        """Return the batches of `predict_split`."""
        return self._batches(self.predict_split)

    def _batches(self, split: str, shuffle: bool = False) -> BatchLoader:
        dataset = self.dataset(split)
        if not len(dataset):
            raise UsageError(f"{self._name}: the {split} split has no samples.")
        return loader(
            dataset,
            self.batch_size,
            shuffle,
            self.seed,
            None if self.trainer is None else self.trainer.strategy.root_device,
            normalize=self.normalize,
            rgb=self.rgb,
            drop_last=self.drop_last and shuffle,
        )
