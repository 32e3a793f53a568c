"""Nearest centroid, as in prototypical networks: an image belongs to the class whose mean feature is nearest.

Snell, Swersky and Zemel 2017, "Prototypical networks for few-shot learning" (NeurIPS), equations 1 and 2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from medimeta.catalogue.schema import TaskTarget
from medimeta.learning.fewshot.method import EpisodeFeatures, FeatureMethod
from medimeta.learning.fewshot.scaling import centred

if TYPE_CHECKING:
    from medimeta.learning.fewshot.config import FewShotConfig


class ProtoNet(FeatureMethod):
    """The logit of a class is minus the squared distance from the mean of its support features.

    Binary tasks: the squared distance from the negatives' mean minus that from the positives'; multi-label tasks the
    same for each label. Distances are in units of the spread of the support set (see `centred`): a backbone that was
    not trained for them has no scale of its own, and at a large one all probabilities would be 0 or 1, and tie.
    """

    def logits(self, episodes: EpisodeFeatures, config: FewShotConfig) -> torch.Tensor:
        """Compare with the prototypes; see `FeatureMethod.logits`."""
        support, query = centred(episodes)
        members = memberships(episodes)
        prototypes = (members.mT / members.sum(dim=1)[..., None]) @ support
        distances = torch.cdist(query, prototypes, compute_mode="donot_use_mm_for_euclid_dist").square()
        if episodes.tasks[0].target in (TaskTarget.MULTICLASS, TaskTarget.ORDINAL):
            return -distances
        without, having = distances.tensor_split(2, dim=2)
        return without - having


def memberships(episodes: EpisodeFeatures) -> torch.Tensor:
    """Tell which support image counts for which prototype.

    Returns
    -------
    tensor of float64, shape (E, n, prototypes)
        0 and 1. A prototype for each class; for binary and multi-label tasks, one of those without each label, then
        one of those with it.
    """
    labels, task = episodes.support_labels, episodes.tasks[0]
    if task.target is TaskTarget.MULTILABEL:
        members = torch.cat([1 - labels, labels], dim=2)
    else:
        members = torch.nn.functional.one_hot(labels, len(task.labels))
    return members.double() * episodes.present[..., None]
