"""Features of an episode, centred and in units of their own spread."""

from __future__ import annotations

import torch

from medimeta.learning.fewshot.method import EpisodeFeatures


def centred(episodes: EpisodeFeatures) -> tuple[torch.Tensor, torch.Tensor]:
    """Subtract each support set's mean, and divide by the root mean square distance from it.

    One number an episode, not one a feature: a few images say little of the spread of each of many features. Then what
    a method's numbers mean, a penalty or a distance, does not depend on the backbone. (Centring and a common length:
    Wang et al. 2019, "SimpleShot", arXiv:1911.04623.)

    Returns
    -------
    support : tensor of float64, shape (E, n, F)
        0 for images that are not there.
    query : tensor of float64, shape (E, m, F)
    """
    present = episodes.present[..., None].double()
    support, query = episodes.support.double(), episodes.query.double()
    count = present.sum(dim=1, keepdim=True)
    mean = (support * present).sum(dim=1, keepdim=True) / count
    support, query = (support - mean) * present, query - mean
    spread = (support.square().sum(dim=(1, 2), keepdim=True) / count).sqrt()
    spread = torch.where(spread > 0, spread, 1.0)  # a backbone may give the same features for all
    return support / spread, query / spread
