"""Model-agnostic meta-learning: weights from which a few gradient steps on a support set go far.

The inner loop is gradient descent on the loss of the support set, from the meta-weights; the outer loss is that of the
query set under the weights it ends at (Finn, Abbeel and Levine 2017, ICML, "Model-Agnostic Meta-Learning for Fast
Adaptation of Deep Networks"). Order 2 differentiates the outer loss through the inner gradients. Order 1 takes these as
constants, so that the outer gradient is that of the query loss at the adapted weights (their section 5.2).

Episodes have different outputs, so each gets a head of its own, which starts at zero: it needs no seed, and carries
nothing from one episode to the next (Kao, Chiu and Chen 2022, ICLR, "MAML is a Noisy Contrastive Learner in
Classification", the zeroing trick). The first step then moves the head alone, as it passes no gradient on yet.

Episodes differ in images and outputs, so that `torch.func.vmap` over them would have nothing to stack.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import nn
from torch.func import functional_call, grad
from torch.nn.modules.batchnorm import _NormBase

from medimeta.catalogue.schema import FrozenDict, TaskCard
from medimeta.learning.heads import Head

Order = Literal[1, 2]
"""Whether the outer gradient goes through the inner gradients (2) or takes them as constants (1)."""

BatchNorm = Literal["batch", "running"]
"""Where batch normalisation takes its statistics from: each set of images by itself, or the running averages."""

Parameters = Mapping[str, torch.Tensor]
HEAD = "head/"  # no name of a parameter has a slash


@dataclass(frozen=True)
class InnerLoop:
    """Gradient descent whose result can be differentiated with respect to where it began.

    Attributes
    ----------
    steps : int
        How many steps.
    rate : float
        Learning rate.
    order : 1 or 2
        Whether the inner gradients are constants, or differentiated too.

    Examples
    --------
    >>> start = torch.tensor(3.0, requires_grad=True)
    >>> end = InnerLoop(steps=2, rate=0.25)(lambda at: (at["x"] ** 2), {"x": start})["x"]
    >>> end.item(), torch.autograd.grad(end, start)[0].item()  # each step halves x
    (0.75, 0.25)
    """

    steps: int = 4
    rate: float = 0.1
    order: Order = 2

    def problems(self) -> list[str]:
        """Say what is wrong with these settings."""
        found = [] if self.steps >= 1 else [f"inner_steps must be at least 1, got {self.steps}"]
        found += [] if 0 < self.rate < float("inf") else [f"inner_rate must be positive, got {self.rate}"]
        known = get_args(Order)
        return found + ([] if self.order in known else [f"order must be 1 or 2, got {self.order!r}"])

    def __call__(self, loss: Callable[[Parameters], torch.Tensor], parameters: Parameters) -> dict[str, torch.Tensor]:
        """Descend from the parameters.

        Parameters
        ----------
        loss : callable
            Takes parameters by name and returns a scalar; must not change anything.
        parameters : mapping of str to tensor
            Where to begin. Not changed.

        Returns
        -------
        dict of str to tensor
            Where it ends, by the same names.
        """
        current = dict(parameters)
        for _ in range(self.steps):
            # Inside, torch.func records what it needs of its own; outside, no_grad makes the result a constant.
            with torch.no_grad() if self.order == 1 else nullcontext():
                gradients = grad(loss)(current)
            current = {name: value - self.rate * gradients[name] for name, value in current.items()}
        return current


@dataclass(frozen=True)
class Adapted:
    """A learner after its inner loop.

    Attributes
    ----------
    learner : Learner
        Whose weights were adapted.
    head : Head
        What the episode asks; its own weights are not used.
    parameters : mapping of str to tensor
        The adapted weights, those of the head included.
    """

    learner: Learner
    head: Head
    parameters: Parameters

    def logits(self, images: torch.Tensor) -> torch.Tensor:
        """Return logits ``(B, outputs)`` of normalised images ``(B, 3, S, S)``."""
        return self.learner.logits(self.parameters, self.head, images)

    def loss(self, images: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Return the loss of images with their labels; see `Head.loss`."""
        return self.head.loss(self.logits(images), targets)


class Learner:
    """A backbone that is adapted to one episode at a time.

    Parameters
    ----------
    backbone : nn.Module
        Turns normalised images ``(B, 3, S, S)`` into ``(B, features)``. Its weights are where every inner loop begins;
        adapting changes neither them nor its buffers.
    features : int
        Length of the backbone's feature vector.
    inner : InnerLoop
        The inner loop.
    batch_norm : {"batch", "running"}
        ``"batch"``: the support set is normalised with its own statistics, and so is the query set: a query image is
        then scored together with the others, as in the original. ``"running"``: with the running averages, so that each
        image is scored by itself. Other layers that act differently in training, such as dropout, are still.
    """

    def __init__(
        self, backbone: nn.Module, features: int, inner: InnerLoop | None = None, *, batch_norm: BatchNorm = "batch"
    ) -> None:
        self.backbone = backbone
        self.features = features
        self.inner = inner or InnerLoop()
        self.batch_norm: BatchNorm = batch_norm

    def adapt(self, task: TaskCard, images: torch.Tensor, targets: torch.Tensor) -> Adapted:
        """Learn from a support set.

        Parameters
        ----------
        task : TaskCard
            What the episode asks: `episode_card`.
        images : tensor of float, shape (B, 3, S, S)
            Normalised.
        targets : tensor of int64, shape (B,) or (B, L)
            Labels as the episode counts them.

        Returns
        -------
        Adapted
            The weights are differentiable with respect to those of the backbone, by the order of the inner loop.
        """
        start = dict(self.backbone.named_parameters())
        with torch.device("meta"):  # its own weights would be drawn at random, and are never used
            head = Head(self.features, task)
        like = next(iter(start.values())).detach()
        zeros = {f"{HEAD}{name}": like.new_zeros(value.shape) for name, value in head.named_parameters()}

        def loss(parameters: Parameters) -> torch.Tensor:
            return head.loss(self.logits(parameters, head, images), targets)

        return Adapted(self, head, self.inner(loss, {**start, **zeros}))

    def logits(self, parameters: Parameters, head: Head, images: torch.Tensor) -> torch.Tensor:
        """Return logits of normalised images under these weights of backbone and head."""
        body = {name: value for name, value in parameters.items() if not name.startswith(HEAD)}
        top = {name.removeprefix(HEAD): value for name, value in parameters.items() if name.startswith(HEAD)}
        count = len(images)
        if count == 1:  # one image has no statistics of a batch: twice itself has, and the same result
            images = images.expand(2, -1, -1, -1)
        with statistics(self.backbone, self.batch_norm):
            features = functional_call(self.backbone, body, (images,))
        logits: torch.Tensor = functional_call(head, top, (features[:count],))
        return logits

    @torch.no_grad()
    def follow(self, images: torch.Tensor) -> None:
        """Let the running averages of batch normalisation follow images under the meta-weights.

        The inner loop leaves them alone; without this, a backbone that was meta-trained from scratch would be of no
        use to anyone who evaluates it the usual way.
        """
        norms = _norms(self.backbone)
        if not norms or len(images) < 2:
            return
        self.backbone.eval()
        for norm in norms:
            norm.train()
        self.backbone(images)
        self.backbone.eval()


@contextmanager
def statistics(backbone: nn.Module, kind: BatchNorm) -> Iterator[None]:
    """Let batch normalisation use the batch or the running averages for a while, and leave the averages as they are.

    All other layers act as in evaluation.
    """
    modes = [(part, part.training) for part in backbone.modules()]
    backbone.eval()
    tracking = [(norm, norm.track_running_stats) for norm in _norms(backbone)] if kind == "batch" else []
    for norm, _ in tracking:
        norm.train()
        norm.track_running_stats = False
    try:
        yield
    finally:
        for norm, before in tracking:
            norm.track_running_stats = before
        for part, training in modes:
            part.training = training


def episode_card(task: TaskCard, classes: tuple[str, ...]) -> TaskCard:
    """Return the card of a task as an episode of these classes asks it: labels counted from 0, and no others.

    Examples
    --------
    >>> import medimeta as mm
    >>> episode_card(mm.task("bus/case category"), ("normal", "malignant")).labels
    {0: 'normal', 1: 'malignant'}
    """
    return task.model_copy(update={"labels": FrozenDict(dict(enumerate(classes)))})


def _norms(backbone: nn.Module) -> list[_NormBase]:
    return [part for part in backbone.modules() if isinstance(part, _NormBase)]
