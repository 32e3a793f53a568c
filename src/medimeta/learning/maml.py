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

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.func import functional_call, grad
from torch.nn.modules.batchnorm import _BatchNorm

from medimeta.catalogue.schema import FrozenDict, TaskCard
from medimeta.learning.config import BatchNorm, Order
from medimeta.learning.heads import Head
from medimeta.learning.inputs import evaluating

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
    >>> end = InnerLoop(steps=2, rate=0.25)(lambda at: at["x"] ** 2, {"x": start})["x"]
    >>> end.item(), torch.autograd.grad(end, start)[0].item()  # each step halves x
    (0.75, 0.25)
    """

    steps: int = 4
    rate: float = 0.1
    order: Order = 2

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


@dataclass(frozen=True, eq=False)
class Adapted:
    """A learner after its inner loop.

    Attributes
    ----------
    learner : Learner
        Whose weights were adapted.
    head : Head
        What the episode asks; its own weights are not used.
    support : tensor of float, shape (B, 3, S, S)
        The images that were learned from.
    parameters : mapping of str to tensor
        The adapted weights, those of the head included.
    """

    learner: Learner
    head: Head
    support: torch.Tensor
    parameters: Parameters

    def logits(self, images: torch.Tensor) -> torch.Tensor:
        """Return logits ``(B, outputs)`` of normalised images ``(B, 3, S, S)``."""
        return self.learner.logits(self.parameters, self.head, images, self.support)

    def loss(self, images: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Return the loss of images with their labels; see `Head.loss`."""
        return self.head.loss(self.logits(images), targets)


class Learner:
    """A backbone that is adapted to one episode at a time.

    Layers that act differently in training, such as dropout, act as in evaluation; batch normalisation by `batch_norm`.

    Parameters
    ----------
    backbone : nn.Module
        Turns normalised images ``(B, 3, S, S)`` into ``(B, features)``. Its weights are where every inner loop begins;
        adapting changes neither them nor its buffers.
    features : int
        Length of the backbone's feature vector.
    inner : InnerLoop
        The inner loop.
    batch_norm : {"support", "batch", "running"}
        Whose statistics normalise. ``"support"``: those of the support set, for the query set too, so that query images
        do not help each other. ``"batch"``: those of the images at hand, so that the query images are normalised
        together, as in the original. ``"running"``: the running averages of the backbone.
    """

    def __init__(
        self, backbone: nn.Module, features: int, inner: InnerLoop | None = None, *, batch_norm: BatchNorm = "support"
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

        return Adapted(self, head, images, self.inner(loss, {**start, **zeros}))

    def logits(
        self, parameters: Parameters, head: Head, images: torch.Tensor, support: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Return logits of normalised images under these weights of backbone and head.

        Images of a query set come with the support set; those of the support set by themselves.
        """
        values = {name: value for name, value in parameters.items() if not name.startswith(HEAD)}
        top = {name.removeprefix(HEAD): value for name, value in parameters.items() if name.startswith(HEAD)}
        norms = [] if self.batch_norm == "running" else _norms(self.backbone)
        if support is None or self.batch_norm != "support" or not norms:
            shown, counted = images, len(images)
        else:
            shown, counted = torch.cat([support, images]), len(support)
        for name, norm in norms:  # what they would subtract and divide by is taken care of before: see standardised
            values[f"{name}.running_mean"] = torch.zeros_like(norm.running_mean)  # type: ignore[arg-type]
            values[f"{name}.running_var"] = torch.full_like(norm.running_var, 1 - norm.eps)  # type: ignore[arg-type]
        with evaluating(self.backbone), standardised([norm for _, norm in norms], counted):
            features = functional_call(self.backbone, values, (shown,))
        logits: torch.Tensor = functional_call(head, top, (features[-len(images) :],))
        return logits

    @torch.no_grad()
    def follow(self, images: torch.Tensor) -> None:
        """Let the running averages of batch normalisation follow images under the meta-weights.

        The inner loop leaves them alone; without this, a backbone that was meta-trained from scratch would be of no
        use to anyone who evaluates it the usual way.
        """
        norms = _norms(self.backbone)
        if norms and len(images) > 1:
            with evaluating(self.backbone):
                for _, norm in norms:
                    norm.train()
                self.backbone(images)


@contextmanager
def standardised(norms: Iterable[nn.Module], count: int) -> Iterator[None]:
    """Give layers of batch normalisation inputs that have mean 0 and variance 1, over the first `count` images.

    So they normalise by statistics of these images alone, and the result can be differentiated any number of times.
    """

    def standardise(norm: Any, inputs: tuple[torch.Tensor]) -> tuple[torch.Tensor]:
        images = inputs[0] if inputs[0].dtype is torch.float64 else inputs[0].float()
        axes = (0, *range(2, images.ndim))
        variance, mean = torch.var_mean(images[:count], axes, correction=0, keepdim=True)
        return ((images - mean) * torch.rsqrt(variance + norm.eps),)

    handles = [norm.register_forward_pre_hook(standardise) for norm in norms]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def episode_card(task: TaskCard, classes: tuple[str, ...]) -> TaskCard:
    """Return the card of a task as an episode of these classes asks it: labels counted from 0, and no others.

    Examples
    --------
    >>> import medimeta as mm
    >>> episode_card(mm.task("bus/case category"), ("normal", "malignant")).labels
    {0: 'normal', 1: 'malignant'}
    """
    return task.model_copy(update={"labels": FrozenDict(dict(enumerate(classes)))})


def _norms(backbone: nn.Module) -> list[tuple[str, _BatchNorm]]:
    """Return the layers of batch normalisation that keep averages, by name."""
    parts = backbone.named_modules()
    return [(name, part) for name, part in parts if isinstance(part, _BatchNorm) and part.running_mean is not None]
