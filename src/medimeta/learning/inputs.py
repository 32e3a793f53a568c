"""Images that a model is asked about: checked at once, and handed over in chunks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn

from medimeta.errors import UsageError, problems_error

IMAGES_AT_ONCE = 64  # as many as a training batch, so that what could be trained can predict


def image_chunks(
    images: Any, *, channels: int, size: int, device: torch.device | str = "cpu", at_once: int = IMAGES_AT_ONCE
) -> Iterator[torch.Tensor]:
    """Check images, and give them in chunks.

    Parameters
    ----------
    images : tensor, array or sequence of them
        uint8, in any of the layouts of `as_batch`, any number.
    channels, size : int
        What the model takes: 1 for grey or 3 for colour, and the side in pixels.
    device : torch.device or str
        Where chunks go.
    at_once : int
        Images a chunk.

    Returns
    -------
    iterator of tensor of uint8, shape (B, C, S, S)

    Raises
    ------
    UsageError
        These are no such images; see `as_batch`.

    Examples
    --------
    >>> grey = np.zeros((100, 8, 8), np.uint8)
    >>> [tuple(chunk.shape) for chunk in image_chunks(grey, channels=1, size=8)]
    [(64, 1, 8, 8), (36, 1, 8, 8)]
    """
    batch = as_batch(images, channels=channels, size=size)

    def chunks() -> Iterator[torch.Tensor]:
        for start in range(0, len(batch), at_once):
            chunk = batch[start : start + at_once]
            if isinstance(chunk, np.ndarray):  # copied: it may be mapped from a file, which torch may not write to
                chunk = torch.from_numpy(np.array(chunk, dtype=np.uint8))
            yield chunk.to(device, torch.uint8)

    return chunks()


def as_batch(images: Any, *, channels: int, size: int) -> Any:
    """View images as ``(N, C, S, S)``.

    Parameters
    ----------
    images : tensor, array or sequence of them
        ``(N, C, S, S)`` as `medimeta.load` gives them, or ``(N, S, S)`` and ``(N, S, S, 3)`` as `medimeta.load_arrays`
        does; a single image lacks N. uint8, or whole numbers of the same range.
    channels, size : int
        What the model takes.

    Returns
    -------
    tensor or ndarray, shape (N, C, S, S)
        As given, with N = 1 for a single image.

    Raises
    ------
    UsageError
        Other channels, size, type or range; all that is wrong is told at once.

    Examples
    --------
    >>> as_batch(np.zeros((5, 8, 8, 3), np.uint8), channels=3, size=8).shape
    (5, 3, 8, 8)
    >>> as_batch(np.zeros((3, 9, 9), np.float32), channels=1, size=8)
    Traceback (most recent call last):
    ...
    medimeta.errors.UsageError: these images are not what the model takes.
      - size: 9x9 pixels, expected 8x8: scale the images first
      - type: float32, expected uint8 of 0 to 255: these are neither scaled to 0..1 nor normalised
    It takes uint8 of shape (N, 1, 8, 8), as mm.load gives, or (N, 8, 8), as mm.load_arrays does; N may be left out.
    """
    if isinstance(images, Sequence) and not isinstance(images, (str, bytes)):
        images = _stacked(images)
    if not isinstance(images, (torch.Tensor, np.ndarray)):
        raise UsageError(
            f"expected images as a tensor or an array, got {type(images).__name__}: use np.asarray(image)."
        )
    shape = tuple(images.shape)
    batch = _as_channels_first(images, channels, size)
    problems = [] if batch is not None else _shape_problems(shape, channels, size)
    problems += _value_problems(images)
    if batch is None or problems:
        stored = f"(N, {size}, {size})" if channels == 1 else f"(N, {size}, {size}, {channels})"
        raise problems_error(
            UsageError,
            "these images are not what the model takes.",
            problems,
            f"It takes uint8 of shape (N, {channels}, {size}, {size}), as mm.load gives, or {stored}, as "
            f"mm.load_arrays does; N may be left out.",
        )
    return batch


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Put a module into evaluation mode, and back: batch statistics would let images change each other's scores."""
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for part, training in modes:
            part.training = training


def _stacked(images: Sequence[Any]) -> Any:
    shapes = {tuple(getattr(image, "shape", ())) for image in images}
    if len(shapes) > 1:
        raise UsageError(f"expected images of one shape, got {', '.join(map(str, sorted(shapes)))}.")
    if images and isinstance(images[0], torch.Tensor):
        return torch.stack(list(images))
    return np.asarray(images)


def _as_channels_first(images: Any, channels: int, size: int) -> Any:
    """Return a view of shape (N, C, S, S), or None where the shape is none of those known."""
    shape = tuple(images.shape)
    lead = shape[:-2]
    if shape[-2:] == (size, size) and (lead[-1:] == (channels,) or channels == 1) and len(lead) <= 1:
        return images.reshape(-1, channels, size, size)
    if shape[-2:] == (size, size) and lead[1:] == (channels,):
        return images
    if shape[-3:] == (size, size, channels) and len(shape) in (3, 4):
        return images.reshape(-1, size, size, channels).swapaxes(1, 3).swapaxes(2, 3)
    return None


def _shape_problems(shape: tuple[int, ...], channels: int, size: int) -> list[str]:
    """Say what is wrong with a shape that is none of those known."""
    if len(shape) not in (2, 3, 4):
        return [f"shape: {shape} has {len(shape)} axes, expected 4: image, channel, row, column"]
    last = shape[-1] in (1, 3) and shape[-2] not in (1, 3) and len(shape) > 2
    sides = shape[-3:-1] if last else shape[-2:]
    if len(shape) == 4:
        found = shape[3] if last else shape[1]
    else:  # three axes are rows, columns and either channels or images
        found = shape[-1] if last else shape[0] if len(shape) == 3 and shape[0] == channels else 1
    problems = []
    if found != channels:
        names = {1: "grey (1 channel)", 3: "colour (3 channels)"}
        got = names.get(found, f"{found} channels")
        problems.append(f"channels: {got}, expected {names.get(channels, channels)}")
    if sides != (size, size):
        problems.append(f"size: {sides[1]}x{sides[0]} pixels, expected {size}x{size}: scale the images first")
    return problems or [f"shape: {shape} is none of those known"]


def _value_problems(images: torch.Tensor | np.ndarray) -> list[str]:
    dtype = str(images.dtype).removeprefix("torch.")
    if dtype == "uint8":
        return []
    if not dtype.startswith(("int", "uint")):
        why = ": these are neither scaled to 0..1 nor normalised" if "float" in dtype else ""
        return [f"type: {dtype}, expected uint8 of 0 to 255{why}"]
    if 0 in images.shape:
        return []
    low, high = int(images.min()), int(images.max())
    return [] if low >= 0 and high <= 255 else [f"range: {low} to {high}, expected 0 to 255"]
