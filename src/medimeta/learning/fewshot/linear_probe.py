"""Linear probe: logistic regression on the features of a frozen backbone, for many episodes at once.

The features are centred and scaled (see `centred`), and the weights W and intercepts b minimise, as exactly as numbers
allow, the convex objective

    sum of the losses over the support set + penalty / 2 * sum of W squared.

That is what `sklearn.linear_model.LogisticRegression(C=1 / penalty)` minimises. Logistic regression with C = 1 on
features of about unit length is the probe of Tian et al. 2020, "Rethinking few-shot image classification" (ECCV).

There are many more features than images, so W is sought as ``X.T @ A``, a combination of the n support images, and all
that is needed of the features are inner products. The loss is bounded by a parabola whose curvature does not depend on
W (Boehning 1992, "Multinomial logistic regression algorithm", Annals of the Institute of Statistical Mathematics 44:
197), so that one matrix, inverted once, serves all steps, and each step goes down without a search for its length. The
steps are accelerated, with restarts (O'Donoghue and Candes 2015, Foundations of Computational Mathematics 15:715).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from medimeta.catalogue.schema import TaskTarget
from medimeta.learning.fewshot.method import EpisodeFeatures, FeatureMethod
from medimeta.learning.fewshot.scaling import centred

if TYPE_CHECKING:
    from medimeta.learning.fewshot.config import FewShotConfig

TOLERANCE = 1e-7  # of the gradient, in which each image counts at most 1
MOST_STEPS = 2000
LOOK_EVERY = 10  # steps


class LinearProbe(FeatureMethod):
    """L2-penalised logistic regression; multi-label and binary tasks one regression for each label."""

    settings = ("penalty",)

    def logits(self, episodes: EpisodeFeatures, config: FewShotConfig) -> torch.Tensor:
        """Fit on the support sets; see `FeatureMethod.logits`."""
        support, query = centred(episodes)
        labels, task = episodes.support_labels, episodes.tasks[0]
        several = task.target in (TaskTarget.MULTICLASS, TaskTarget.ORDINAL)
        targets = functional.one_hot(labels, len(task.labels)) if several else labels.reshape(*labels.shape[:2], -1)
        coefficients, intercepts = fit(
            support @ support.mT, targets.double(), episodes.present, config.penalty, several=several
        )
        return query @ (support.mT @ coefficients) + intercepts


def fit(
    products: torch.Tensor, targets: torch.Tensor, present: torch.Tensor, penalty: float, *, several: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """Fit logistic regressions on centred features, given by their inner products.

    Parameters
    ----------
    products : tensor of float64, shape (E, n, n)
        Inner products of each episode's images; 0 for images that are not there.
    targets : tensor of float64, shape (E, n, K)
        0 and 1.
    present : tensor of bool, shape (E, n)
        Which images there are.
    penalty : float
        Above 0.
    several : bool
        Whether one of the K classes is right (softmax), or each is there or not (sigmoid).

    Returns
    -------
    coefficients : tensor of float64, shape (E, n, K)
        How much of each image is in the weights of each class.
    intercepts : tensor of float64, shape (E, 1, K)
    """
    there = present[..., None].double()
    counts = there.sum(dim=1, keepdim=True)
    curvature = 0.5 if several else 0.25  # at most, of the loss along any logit
    unit = torch.eye(products.shape[1], dtype=products.dtype, device=products.device)
    step = torch.linalg.inv(curvature * products + penalty * unit)
    coefficients, intercepts = torch.zeros_like(targets), torch.zeros_like(targets[:, :1])
    ahead, ahead_intercepts = coefficients, intercepts  # where the gradient is taken
    pace = torch.ones_like(counts)
    open_ = torch.ones_like(counts, dtype=torch.bool)
    for number in range(MOST_STEPS):
        logits = products @ ahead + ahead_intercepts
        chances = logits.softmax(dim=2) if several else logits.sigmoid()
        wrong = (chances - targets) * there
        slope, level = wrong + penalty * ahead, wrong.sum(dim=1, keepdim=True)
        if number % LOOK_EVERY == 0:
            steepest = torch.maximum(slope.abs().amax(dim=(1, 2)), level.abs().amax(dim=(1, 2)))
            open_ = open_ & (steepest > TOLERANCE)[:, None, None]
            if not open_.any():
                break
        lower = ahead - step @ slope
        lower_intercepts = ahead_intercepts - level / (curvature * counts)
        moved, moved_intercepts = lower - coefficients, lower_intercepts - intercepts
        # Restart where the last move goes uphill: the gradient is measured by inner products, as the weights are.
        uphill = (products @ slope * moved).sum(dim=(1, 2)) + (level * moved_intercepts).sum(dim=(1, 2)) > 0
        pace = torch.where(uphill[:, None, None], 1.0, pace)
        further = (1 + (1 + 4 * pace.square()).sqrt()) / 2
        momentum = (pace - 1) / further
        # An episode that is done stays as it is, whatever others still need.
        coefficients = torch.where(open_, lower, coefficients)
        intercepts = torch.where(open_, lower_intercepts, intercepts)
        ahead = torch.where(open_, lower + momentum * moved, ahead)
        ahead_intercepts = torch.where(open_, lower_intercepts + momentum * moved_intercepts, ahead_intercepts)
        pace = further
    return ahead, ahead_intercepts
