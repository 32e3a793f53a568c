"""Datasets of labels alone, as small or as large as a test needs: an episode is drawn without reading an image."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from medimeta.catalogue.schema import TaskCard, TaskTarget
from medimeta.loading.dataset import ClassCount
from medimeta.store.table import class_indices


class FakeImages:
    def __init__(self, count):
        self.shape = (count, 2, 2)


class FakeStored:
    manifest = None

    def __init__(self, count):
        self.images = FakeImages(count)

    def __len__(self):
        return self.images.shape[0]


class FakeDataset:
    """What episodes ask of a `TaskDataset`; an image holds its place."""

    transform = None

    def __init__(self, task, labels, subjects=None, indices=None, stored=None):
        self.task = task
        self.labels = np.asarray(labels, dtype=np.int64)
        self.codes = None if subjects is None else np.asarray(subjects, dtype=np.int64)
        self.indices = np.arange(len(self.labels)) if indices is None else np.asarray(indices)
        self.stored = FakeStored(len(self.labels) if stored is None else stored)

    def __len__(self):
        return len(self.labels)

    def class_indices(self, task=None):
        return class_indices(self.task, self.labels)

    def class_counts(self, task=None):
        indices, classes = self.class_indices(), range(len(self.task.labels))
        positive = indices.sum(axis=0) if indices.ndim == 2 else [(indices == number).sum() for number in classes]
        counts = [ClassCount(int(count), len(self) - int(count)) for count in positive]
        return dict(zip(self.task.classes, counts, strict=True))

    def subjects(self):
        return self.codes

    def __getitems__(self, places):
        images = [torch.full((1, 2, 2), place, dtype=torch.int64) for place in places]
        if self.transform is not None:
            images = [self.transform(image) for image in images]
        return [(image, self.labels[place]) for image, place in zip(images, places, strict=True)]


@pytest.fixture(scope="session")
def fake():
    """Make a dataset of labels; two-dimensional ones are multi-label."""

    def make(labels, subjects=None, target=None, keys=None, name="findings", **further):
        labels = np.asarray(labels)
        if labels.ndim == 2:
            target, keys = TaskTarget.MULTILABEL, range(labels.shape[1])
        target = target or TaskTarget.MULTICLASS
        keys = range(int(labels.max()) + 1) if keys is None else keys
        card = TaskCard(dataset="fake", name=name, target=target, labels={key: f"c{key}" for key in keys})
        return FakeDataset(card, labels, subjects, **further)

    return make
