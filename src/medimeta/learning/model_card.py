"""What is known of a trained model, for machines: what it predicts, how it was trained, how good it is, its terms."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol, Self

from pydantic import Field, JsonValue, NonNegativeInt, PositiveInt, ValidationError, model_validator

from medimeta.catalogue.bibtex import bibtex
from medimeta.catalogue.catalogue import default_catalogue
from medimeta.catalogue.own import UNSPECIFIED, own_terms
from medimeta.catalogue.schema import Card, DatasetCard, Licence, TaskCard, Text
from medimeta.errors import DamagedStoreError, UnknownNameError
from medimeta.store.reader import StoredDataset

if TYPE_CHECKING:  # tables are made from records and cards alone, without torch
    from medimeta.loading.normalize import Normalize

FORMAT_VERSION = 1  # of model.json; a newer one is refused with the advice to upgrade
MOST_SIZE = 4096  # pixels of a side: no dataset is built larger
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Scores = Mapping[str, Mapping[str, JsonValue]]
"""Split to the figures of `medimeta.Scores.as_dict`."""


class Describable(Protocol):
    """A model that can be saved: one of a task, or of several."""

    tasks: tuple[TaskCard, ...]
    channels: int
    size: int
    normalize: Normalize


class TrainedOn(Card):
    """A dataset that a model was trained on, and the terms that the model inherits from it.

    Attributes
    ----------
    fingerprint : str
        Digest of the images, labels and splits.
    partial : bool
        Whether the dataset was built from a part of its original.
    licences : tuple of Licence
        All that bind: that of the release, and those of the sources.
    sources : tuple of str
        Where the originals are to be had.
    cite : str
        BibTeX of all that must be cited.
    notes : tuple of str
        What its users should know.
    """

    id: Text
    name: Text
    domain: str
    fingerprint: Text
    partial: bool
    licences: Annotated[tuple[Licence, ...], Field(min_length=1)]
    sources: tuple[str, ...] = ()
    cite: str
    notes: tuple[str, ...] = ()

    @property
    def commercial(self) -> bool:
        """Whether commercial use is allowed: the strictest licence decides."""
        return all(licence.commercial for licence in self.licences)

    @classmethod
    def of(cls, stored: StoredDataset) -> Self:
        """Describe a stored dataset."""
        card = _card(stored)
        unknown = own_terms(UNSPECIFIED)
        assumed = () if unknown is None else (unknown,)
        return cls(
            id=stored.info.id,
            name=stored.info.name,
            domain=stored.info.domain,
            fingerprint=stored.fingerprint(),
            partial=stored.manifest is not None and stored.manifest.partial,
            licences=assumed if card is None else _licences(card),
            sources=() if card is None else tuple(source.url for source in card.sources),
            cite="" if card is None else bibtex(card),
            notes=() if card is None else card.notes,
        )


class WeightsFile(Card):
    """The file that the weights of a saved model lie in."""

    name: Literal["model.safetensors"] = "model.safetensors"
    bytes: NonNegativeInt
    sha256: Sha256


class ModelCard(Card):
    """What is known of a trained model.

    Attributes
    ----------
    kind : {"task", "multi-task"}
        One task with one head, or several on one backbone.
    backbone : str
        timm's name of the model.
    starts_from : str
        ``"imagenet"``, ``"none"``, or ``"sha256:..."`` of the weights that training started from.
    tasks : tuple of TaskCard
        What is predicted, with the labels that are the columns of scores.
    channels, size : int
        Of the images that the model takes, uint8.
    mean, std : tuple of float
        The statistics that images in 0..1 are normalised with inside of the model.
    method : str
        How it was trained, such as ``"supervised"``.
    config, config_sha256
        The settings of training, and their digest.
    data : tuple of TrainedOn
        The datasets that it was trained on.
    scores : mapping
        Task id to split to the figures of `medimeta.Scores.as_dict`.
    training : mapping or None
        How training went, such as which epoch was chosen.
    package, versions, device
        What computed it, and on what.
    weights : WeightsFile or None
        The file beside the card, once it is saved.
    """

    format_version: Literal[1] = 1
    kind: Literal["task", "multi-task"]
    backbone: Text
    starts_from: Text
    tasks: Annotated[tuple[TaskCard, ...], Field(min_length=1)]
    channels: Literal[1, 3]
    size: Annotated[PositiveInt, Field(le=MOST_SIZE)]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    method: Text
    config: Mapping[str, JsonValue]
    config_sha256: Sha256
    data: Annotated[tuple[TrainedOn, ...], Field(min_length=1)]
    scores: Mapping[str, Scores]
    training: Mapping[str, JsonValue] | None = None
    package: Text
    versions: Mapping[str, str]
    device: str
    weights: WeightsFile | None = None

    @model_validator(mode="after")
    def _fits_itself(self) -> Self:
        ids = [task.id for task in self.tasks]
        if self.kind == "task" and len(ids) != 1:
            raise ValueError(f"a model of one task has one, got {', '.join(ids)}")
        if twice := sorted({name for name in ids if ids.count(name) > 1}):
            raise ValueError(f"names a task twice: {', '.join(twice)}")
        if strange := sorted(self.scores.keys() - set(ids)):
            raise ValueError(f"has scores of {', '.join(strange)}, which the model does not predict")
        return self

    def computes(self) -> dict[str, JsonValue]:
        """Return what decides about scores beside the weights, as JSON has it; it is kept with the weights, too."""
        plain = self.model_dump(mode="json", include={"kind", "backbone", "channels", "size", "mean", "std"})
        return {**plain, "tasks": {task.id: list(task.classes) for task in self.tasks}}

    @property
    def licences(self) -> tuple[Licence, ...]:
        """Every licence that binds a user of the model, each once."""
        return tuple({licence.id: licence for part in self.data for licence in part.licences}.values())

    @property
    def commercial(self) -> bool:
        """Whether commercial use is allowed: the strictest licence of all data decides."""
        return all(part.commercial for part in self.data)


def describe_model(
    model: Describable,
    data: Sequence[StoredDataset],
    *,
    backbone: str,
    config: Mapping[str, Any],
    config_sha256: str,
    scores: Mapping[str, Any],
    package: str,
    versions: Mapping[str, str],
    device: str,
    starts_from: str = "imagenet",
    method: str = "supervised",
    training: Mapping[str, Any] | None = None,
) -> ModelCard:
    """Make the card of a model.

    Parameters
    ----------
    model : TaskModel or MultiTaskModel
        The model.
    data : sequence of StoredDataset
        What it was trained on: its terms are inherited.
    backbone : str
        timm's name of the model.
    config, config_sha256
        The settings of training as plain values, and their digest.
    scores : mapping
        Split to figures for a model of one task; for one of several, task id to split to figures.
    package, versions, device
        What computed it.
    starts_from : str
        ``"imagenet"``, ``"none"`` or ``"sha256:..."``.
    method : str
        How it was trained.
    training : mapping, optional
        How training went.

    Returns
    -------
    ModelCard
        For `medimeta.learning.saved_model.save_model`.
    """
    several = hasattr(model, "heads")
    normalize = model.normalize
    return ModelCard(
        kind="multi-task" if several else "task",
        backbone=backbone,
        starts_from=starts_from,
        tasks=model.tasks,
        channels=model.channels,
        size=model.size,
        mean=normalize.mean,
        std=normalize.std,
        method=method,
        config=_plain(config),
        config_sha256=config_sha256,
        data=tuple(TrainedOn.of(stored) for stored in data),
        scores=_plain(scores if several else {model.tasks[0].id: scores}),
        training=_plain(training),
        package=package,
        versions=versions,
        device=device,
    )


def _card(stored: StoredDataset) -> DatasetCard | None:
    """Return the card of the catalogue, else what the dataset says of itself; None where that is too little."""
    try:
        return default_catalogue().dataset(stored.info.id)
    except UnknownNameError:
        pass
    try:
        return stored.info.card()
    except (DamagedStoreError, ValidationError):  # a trained model is not lost for want of a description
        return None


def _plain(value: Any) -> Any:
    """Return a value as JSON has it: lists for tuples, None for what is not a number."""
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _licences(card: DatasetCard) -> tuple[Licence, ...]:
    return default_catalogue().licences_of(card)
