"""Backbones by timm's names, with weights from ImageNet, from a file, or none."""

from __future__ import annotations

import socket
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from medimeta._optional import require
from medimeta.errors import WeightsError, bullet_list, unknown_name

MAX_NAMED_KEYS = 5
CONNECT_SECONDS = 5.0


def check_backbone(name: str) -> str:
    """Return the name of a backbone that timm knows.

    Raises
    ------
    UnknownNameError
        timm knows no such model; names near it are offered.
    """
    timm = require("timm")
    if not timm.is_model(name):
        raise unknown_name("backbone", name, timm.list_models())
    return name


def make_backbone(name: str, *, pretrained: bool = True, weights: Path | None = None) -> nn.Module:
    """Make a backbone that turns ``(B, 3, S, S)`` into feature vectors ``(B, F)``.

    Parameters
    ----------
    name : str
        timm's name of the model.
    pretrained : bool
        Start from ImageNet weights, fetched by timm or taken from its cache. Ignored where `weights` is given.
    weights : Path, optional
        A local file: safetensors, or a state dict saved by torch.

    Raises
    ------
    UnknownNameError
        timm knows no such model.
    WeightsError
        The weights cannot be fetched, do not read, or do not fit.
    """
    timm = require("timm")
    check_backbone(name)
    if weights is not None:
        backbone: nn.Module = timm.create_model(name, pretrained=False, num_classes=0)
        _load(backbone, name, weights)
        return backbone
    if not pretrained:
        scratch: nn.Module = timm.create_model(name, pretrained=False, num_classes=0)
        return scratch
    try:
        with _cache_alone_if_unreachable():
            fetched: nn.Module = timm.create_model(name, pretrained=True, num_classes=0)
    except RuntimeError as error:  # timm's own: the model, or the tag in its name, has no weights
        raise WeightsError(
            f"there are no ImageNet weights of {name} ({error}). Start from scratch with --no-pretrained "
            f"(pretrained=False), or pass a local file with --weights FILE (weights=...)."
        ) from error
    except Exception as error:
        reason = f"{type(error).__name__}: {' '.join(str(error).split()).split('. ')[0]}"
        raise WeightsError(
            f"the ImageNet weights of {name} could not be fetched: there is no network to the model hub, and they are "
            f"not in timm's cache ({reason}).\n"
            f"Pass a local file with --weights FILE (weights=...), or start from scratch with --no-pretrained "
            f"(pretrained=False)."
        ) from error
    return fetched


@contextmanager
def _cache_alone_if_unreachable() -> Iterator[None]:
    """Let the hub's client use its cache alone where the hub cannot be reached: it would try for a minute."""
    constants: Any = require("huggingface_hub.constants")
    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = before or not _reachable(constants.ENDPOINT)
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


def _reachable(endpoint: str) -> bool:
    if urllib.request.getproxies():
        return True  # only the proxy can tell
    place = urllib.parse.urlsplit(endpoint)
    port = place.port or (80 if place.scheme == "http" else 443)
    try:
        socket.create_connection((place.hostname or "", port), timeout=CONNECT_SECONDS).close()
    except OSError:
        return False
    return True


def feature_length(backbone: nn.Module, size: int) -> int:
    """Return the length of the backbone's feature vectors, found by running it once."""
    training = backbone.training
    backbone.eval()
    with torch.inference_mode():
        features = backbone(torch.zeros(1, 3, size, size))
    backbone.train(training)
    return int(features.shape[1])


def _load(backbone: nn.Module, name: str, path: Path) -> None:
    state = _read_state(path)
    classifier = getattr(backbone, "default_cfg", {}).get("classifier") or ()
    heads = (classifier,) if isinstance(classifier, str) else tuple(classifier)
    state = {key: value for key, value in state.items() if not any(key.startswith(f"{head}.") for head in heads)}
    own = backbone.state_dict()
    # Files from before batches were counted lack these; nothing reads them but an averaging that we do not use.
    missing = {key for key in own.keys() - state.keys() if not key.endswith(".num_batches_tracked")}
    problems = [f"{key} is missing" for key in missing]
    problems += [f"{key} is not part of {name}" for key in state.keys() - own.keys()]
    problems += [
        f"{key} has the shape {tuple(state[key].shape)}, expected {tuple(own[key].shape)}"
        for key in own.keys() & state.keys()
        if state[key].shape != own[key].shape
    ]
    if problems:
        raise WeightsError(f"{path}: does not fit {name}:\n{bullet_list(sorted(problems), MAX_NAMED_KEYS)}")
    backbone.load_state_dict({**own, **state})


def _read_state(path: Path) -> dict[str, torch.Tensor]:
    if not path.is_file():
        raise WeightsError(f"{path}: there is no such file. Check the path given as --weights.")
    try:
        if path.suffix == ".safetensors":
            state: Any = require("safetensors.torch").load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise WeightsError(
            f"{path}: is neither a safetensors file nor a state dict that loads without running code "
            f"({type(error).__name__})."
        ) from error
    inner = state.get("state_dict", state) if isinstance(state, dict) else None
    if not isinstance(inner, dict) or not all(
        isinstance(key, str) and isinstance(value, torch.Tensor) for key, value in inner.items()
    ):
        raise WeightsError(f"{path}: must hold a dict of tensors by name.")
    for prefix in ("module.", "backbone."):
        if inner and all(key.startswith(prefix) for key in inner):
            inner = {key.removeprefix(prefix): value for key, value in inner.items()}
    return inner
