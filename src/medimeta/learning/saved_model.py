"""Saved models: a folder with weights, a card for machines and a card for people, whole or not there at all."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import nn

from medimeta._files import as_path
from medimeta._numbers import shown
from medimeta._optional import require
from medimeta.errors import ModelError, UnknownNameError, UsageError, problems_error
from medimeta.learning.backbones import make_backbone
from medimeta.learning.model import TaskModel
from medimeta.learning.model_card import ModelCard, WeightsFile
from medimeta.learning.model_folder import CARD, README, WEIGHTS, read_card
from medimeta.learning.model_readme import readme_text

if TYPE_CHECKING:
    import numpy.typing as npt

SHOWN = 5  # layers named in a message
COMPUTES = "medimeta"  # name of what a card says, too, in the metadata of the weights
COMPILED = "_orig_mod."  # what torch.compile puts before the names of layers


class SavedModel(Protocol):
    """What `load_model` returns: a module that takes uint8 images and tells what it is."""

    card: ModelCard | None

    def predict(self, images: Any) -> npt.NDArray[Any] | Mapping[str, npt.NDArray[Any]]:
        """Return scores of images, by task where there are several."""


def save_model(folder: str | os.PathLike[str], model: nn.Module, card: ModelCard) -> Path:
    """Save a model with its card: ``model.safetensors``, ``model.json`` and ``README.md``.

    Everything is written into a folder beside, which is then renamed: what lies at `folder` is a whole model. A model
    that was there before is replaced.

    Parameters
    ----------
    folder : path
        Where to save it; made if missing.
    model : TaskModel or MultiTaskModel
        The model. It stays as it is.
    card : ModelCard
        From `medimeta.learning.model_card.describe_model`.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    UsageError
        There is something else at `folder`.
    ModelError
        The folder cannot be written.
    """
    place = as_path(folder, "folder")
    if place.exists() and not _replaceable(place):
        raise UsageError(f"{place}: is there already, and is no saved model. Choose another folder.")
    temporary = place.with_name(f".{place.name}.{os.getpid()}")
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        _write(temporary, model, card)
        if place.exists():
            old = place.with_name(f".{place.name}.{os.getpid()}.old")
            place.rename(old)
            temporary.rename(place)
            shutil.rmtree(old)
        else:
            temporary.rename(place)
    except OSError as error:
        raise ModelError(f"{place}: the model cannot be written ({error.strerror or error}).") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return place


def load_model(path: str | os.PathLike[str], device: str | torch.device = "cpu") -> Any:
    """Load a saved model, ready to predict.

    Nothing is fetched and no code of the folder is run. The weights are compared with the card by their digest, and
    with the backbone layer by layer.

    Parameters
    ----------
    path : path
        Folder of the model, as `medimeta train` and `medimeta benchmark` leave it.
    device : str or torch.device
        Where it computes, such as ``"cuda"``.

    Returns
    -------
    TaskModel
        In evaluation mode. ``model.predict(images)`` gives scores, ``model.task`` says of what, and ``model.card`` has
        all that is known: settings, data, scores, terms. A model of several tasks gives a dict of scores by task id.

    Raises
    ------
    ModelNotFoundError
        There is no such model.
    ModelError
        A file is missing, damaged, of another format, or does not fit the others.
    UsageError
        There is no such device.

    Examples
    --------
    >>> import medimeta as mm
    >>> model = mm.load_model(getfixture("saved_model"))
    >>> images, labels = mm.load_arrays("bus/malignancy", root=getfixture("bus_root"), split="test")
    >>> model.predict(images).shape == labels.shape
    True
    """
    folder = as_path(path, "the folder of a saved model")
    where = _device(device)
    card = read_card(folder)
    state = _read_weights(folder, card)
    with torch.random.fork_rng(devices=[]):  # making layers draws numbers, which is nobody's business here
        model = _empty(folder, card)
    problems = _layer_problems(state, model.state_dict())
    if problems:
        raise problems_error(
            ModelError,
            f"{folder / WEIGHTS}: does not fit {card.backbone} with {_heads(card)}, which {CARD} says it is.",
            _shortened(problems),
            f"It was saved with timm {card.versions.get('timm', 'of unknown version')}; "
            f"this is {require('timm').__version__}.",
        )
    model.load_state_dict(state)
    model.card = card  # type: ignore[assignment]
    return model.to(memory_format=torch.channels_last).to(where).eval()


def _write(folder: Path, model: nn.Module, card: ModelCard) -> None:
    path = folder / WEIGHTS
    state = {
        name.replace(COMPILED, ""): value.detach().cpu().contiguous().clone()
        for name, value in model.state_dict().items()
    }
    _write_weights(path, state, {"format": "pt", COMPUTES: json.dumps(card.computes(), sort_keys=True)})
    file = WeightsFile(bytes=path.stat().st_size, sha256=_digest(path))
    whole = card.model_copy(update={"weights": file})
    (folder / CARD).write_text(whole.model_dump_json(indent=1) + "\n", encoding="utf-8")
    (folder / README).write_text(readme_text(whole), encoding="utf-8")


def _write_weights(path: Path, state: Mapping[str, torch.Tensor], metadata: Mapping[str, str]) -> None:
    """Write a safetensors file. The library would write metadata in another order each time, and so other bytes."""
    data: bytes = require("safetensors.torch").save(state)
    start = 8 + int.from_bytes(data[:8], "little")  # as the format has it: length of the head, head as JSON, tensors
    head = json.dumps({"__metadata__": metadata, **json.loads(data[8:start])}, separators=(",", ":")).encode()
    head += b" " * (-len(head) % 8)
    with path.open("wb") as file:
        file.write(len(head).to_bytes(8, "little") + head)
        file.write(memoryview(data)[start:])


def _replaceable(place: Path) -> bool:
    """Whether there is nothing at a place but a saved model, or an empty folder."""
    return place.is_dir() and {path.name for path in place.iterdir()} in (set(), {CARD, README, WEIGHTS})


def _read_weights(folder: Path, card: ModelCard) -> dict[str, torch.Tensor]:
    path, file = folder / WEIGHTS, card.weights
    if file is None:
        raise ModelError(f"{folder / CARD}: does not say which weights belong to it.")
    if not path.is_file():
        raise ModelError(f"{path}: is missing. Copy the whole folder.")
    size = path.stat().st_size
    if size != file.bytes:
        raise ModelError(f"{path}: has {size:,} bytes, but {CARD} says {file.bytes:,}. Copy the whole folder again.")
    if _digest(path) != file.sha256:
        raise ModelError(f"{path}: is not the file that {CARD} describes: its SHA-256 differs. Copy it again.")
    try:
        with require("safetensors").safe_open(path, framework="pt") as opened:
            saved_with = json.loads((opened.metadata() or {}).get(COMPUTES, "{}"))
        state: dict[str, torch.Tensor] = require("safetensors.torch").load_file(path)
    except Exception as error:
        raise ModelError(f"{path}: is no safetensors file ({error}).") from error
    _check_computes(folder, card, saved_with)
    return state


def _check_computes(folder: Path, card: ModelCard, saved_with: Any) -> None:
    """Compare the card with what the weights were saved with: their layers do not tell size, labels or statistics."""
    if not saved_with:  # of a version that did not keep it
        return
    told = card.computes()
    saved_with = saved_with if isinstance(saved_with, dict) else {}
    problems = [
        f"{name}: expected {shown(saved_with.get(name))}, got {shown(value)}"
        for name, value in told.items()
        if value != saved_with.get(name)
    ]
    if problems:
        raise problems_error(
            ModelError,
            f"{folder / CARD}: is not the card that {WEIGHTS} was saved with: it was changed, or is of another model.",
            problems,
            "Copy the whole folder again.",
        )


def _empty(folder: Path, card: ModelCard) -> nn.Module:
    """Make the model that the card describes, with weights of no meaning."""
    try:
        backbone = make_backbone(card.backbone, pretrained=False)
    except UnknownNameError as error:
        raise ModelError(
            f"{folder / CARD}: names the backbone {card.backbone!r}, which the timm installed here "
            f"({require('timm').__version__}) does not have; it was saved with timm {card.versions.get('timm', '?')}."
        ) from error
    several = card.kind == "multi-task"
    kind: Any = require("medimeta.learning.multitask").MultiTaskModel if several else TaskModel
    tasks = card.tasks if several else card.tasks[0]
    try:
        model: nn.Module = kind(
            backbone, tasks, channels=card.channels, size=card.size, normalize=(card.mean, card.std)
        )
    except (RuntimeError, AssertionError, ValueError) as error:  # of the backbone, which takes no images of the size
        raise ModelError(
            f"{folder / CARD}: {card.backbone} cannot be made for images of {card.channels} channels and "
            f"{card.size} x {card.size} pixels ({str(error).splitlines()[0]}). Copy the whole folder again."
        ) from error
    return model


def _layer_problems(found: Mapping[str, torch.Tensor], expected: Mapping[str, torch.Tensor]) -> list[str]:
    problems = [f"{name} is missing" for name in expected.keys() - found.keys()]
    problems += [f"{name} is not part of the model" for name in found.keys() - expected.keys()]
    for name in found.keys() & expected.keys():
        got, wanted = found[name], expected[name]
        if got.shape != wanted.shape:
            problems.append(f"{name} has the shape {tuple(got.shape)}, expected {tuple(wanted.shape)}")
        elif got.dtype != wanted.dtype:
            problems.append(f"{name} is {got.dtype}, expected {wanted.dtype}".replace("torch.", ""))
    return sorted(problems)


def _shortened(problems: list[str]) -> list[str]:
    more = len(problems) - SHOWN
    return problems if more <= 0 else [*problems[:SHOWN], f"and {more} more layers"]


def _heads(card: ModelCard) -> str:
    outputs = ", ".join(str(task.outputs) for task in card.tasks[:SHOWN])
    return f"{outputs} outputs" if len(card.tasks) == 1 else f"heads of {outputs} outputs"


def _device(device: str | torch.device) -> torch.device:
    try:
        found = torch.device(device)
        torch.zeros(1, device=found).tolist()
    except (RuntimeError, AssertionError, NotImplementedError, TypeError) as error:
        reason = str(error).splitlines()[0]
        way_out = "Pass --device cpu (device='cpu'), or --device auto for a GPU where there is one."
        raise UsageError(f"device {shown(device)} cannot be used here ({reason}). {way_out}") from None
    return found


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
