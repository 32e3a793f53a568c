"""The augmentation of the paper's baselines, on whole batches and on the device that holds them.

Flips, rotation and crop are one affine map per image, sampled once: bilinear, black outside.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from medimeta.learning.settings import Bounds, check

if TYPE_CHECKING:  # flags are made from these settings where nothing is trained, and torch need not be
    import torch

Probability = Annotated[float, Bounds(0, 1)]


@dataclass(frozen=True)
class Augmentation:
    """How images are varied in training; the defaults are the paper's.

    Attributes
    ----------
    horizontal_flip, vertical_flip : float
        Probability of each flip.
    rotation : float
        Largest angle in degrees, either way.
    crop : float
        Probability of a random crop.
    crop_share : float
        Side of the crop as a share of the image's: 200 of 224 pixels.

    Raises
    ------
    UsageError
        Numbers out of range; all of them are told at once.
    """

    horizontal_flip: Probability = 0.25
    vertical_flip: Probability = 0.25
    rotation: Annotated[float, Bounds(0, 180)] = 10.0
    crop: Probability = 0.25
    crop_share: Annotated[float, Bounds(above=0, most=1)] = 200 / 224

    def __post_init__(self) -> None:
        check(self, "the augmentation is not usable:")

    def __call__(self, images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Vary a batch.

        Parameters
        ----------
        images : tensor, shape (B, C, S, S)
            uint8 or float, black is 0.
        generator : torch.Generator
            Source of chance, on the CPU: the same on every device.

        Returns
        -------
        tensor of float32, shape (B, C, S, S)
            The varied images, in the range of the input. As they are where every probability and angle is 0.
        """
        if not (self.horizontal_flip or self.vertical_flip or self.rotation or self.crop):
            return images
        from torch.nn import functional

        maps = self.maps(len(images), images.shape[-1], generator).to(images.device)
        grid = functional.affine_grid(maps, list(images.shape), align_corners=False)
        return functional.grid_sample(images.float(), grid, mode="bilinear", padding_mode="zeros", align_corners=False)

    def maps(self, count: int, size: int, generator: torch.Generator) -> torch.Tensor:
        """Draw the maps from output to input places, in units of half the image's side; shape (count, 2, 3)."""
        import torch

        def chance(probability: float) -> torch.Tensor:
            return torch.rand(count, generator=generator) < probability

        mirror = (
            torch.where(chance(self.horizontal_flip), -1.0, 1.0),
            torch.where(chance(self.vertical_flip), -1.0, 1.0),
        )
        angle = (torch.rand(count, generator=generator) * 2 - 1) * math.radians(self.rotation)
        cropped = chance(self.crop)
        side = round(size * self.crop_share)
        offset = torch.randint(0, size - side + 1, (count, 2), generator=generator)
        scale = torch.where(cropped, side / size, 1.0)
        shift = torch.where(cropped[:, None], (2 * offset + side) / size - 1, 0.0)
        cos, sin = angle.cos(), angle.sin()
        # Output -> crop -> rotation -> flip -> input: the order in which the paper varies, read backwards.
        rows = []
        for flip, along, across in ((mirror[0], cos, -sin), (mirror[1], sin, cos)):
            translation = along * shift[:, 0] + across * shift[:, 1]
            rows.append(torch.stack([flip * along * scale, flip * across * scale, flip * translation], dim=1))
        return torch.stack(rows, dim=1)
