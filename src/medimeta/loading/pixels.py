"""From pixels as they are stored to what a transform or a batch wants."""

from __future__ import annotations

from typing import Any

import torch

from medimeta._optional import require
from medimeta.store.images import Images


def as_tensor(images: Images) -> torch.Tensor:
    """View stored images ``(n, S, S[, 3])`` as a tensor ``(n, C, S, S)``; colour comes out as channels_last."""
    tensor = torch.from_numpy(images)
    return tensor.unsqueeze(1) if tensor.ndim == 3 else tensor.permute(0, 3, 1, 2)


def as_pil(image: Images, *, rgb: bool = False) -> Any:
    """Return one stored image ``(S, S[, 3])`` as a `PIL.Image.Image` of mode L or RGB; grey as RGB with `rgb`.

    Raises
    ------
    MissingDependencyError
        Pillow is not installed.

    Examples
    --------
    >>> import numpy as np
    >>> as_pil(np.zeros((8, 8), np.uint8)).mode, as_pil(np.zeros((8, 8), np.uint8), rgb=True).mode
    ('L', 'RGB')
    """
    picture = require("PIL.Image").fromarray(image)
    return picture.convert("RGB") if rgb and image.ndim == 2 else picture
