"""A small residual network, of PyTorch alone: both sides of a comparison train it."""

import torch
from torch import nn


class Block(nn.Module):
    """A residual block that halves the image."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.short = nn.Conv2d(inputs, outputs, 1, stride=2, bias=False)

    def forward(self, images):
        """Return the features of images."""
        return torch.relu(self.body(images) + self.short(images))


def backbone():
    """Return a small residual network with 32 features.

    It begins with a 3x3 convolution: oneDNN's gradient of a strided 1x1 convolution of fewer than 8 channels, in
    channels_last on AVX2, writes beyond its memory (seen with torch 2.14.1).
    """
    stem = nn.Conv2d(3, 16, 3, padding=1)
    return nn.Sequential(stem, Block(16, 16), Block(16, 32), nn.AdaptiveAvgPool2d(1), nn.Flatten())
