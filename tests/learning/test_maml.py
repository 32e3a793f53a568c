"""The inner loop has the gradients of theory and finite differences, and statistics come from where it is said."""

import copy

import pytest
import torch
from torch import nn

import medimeta as mm
from medimeta.learning.maml import InnerLoop, Learner, episode_card

pytestmark = pytest.mark.usefixtures("one_thread")

CARD = mm.task("bus/case category")  # three classes
KINDS = {"multi-class": "bus/case category", "binary": "bus/malignancy", "ordinal": "dr_regular/Clarity"}


@pytest.mark.parametrize("steps", [1, 3])
def test_both_orders_have_the_gradients_of_a_quadratic(steps):
    """Inner loss a/2 (x - s)^2 shrinks the distance to s by 1 - r a a step; outer loss b/2 (x' - q)^2.

    So dx'/dx is (1 - r a)^steps in full, and taken as 1 in first order.
    """
    a, b, s, q, r = 0.7, 1.3, 0.4, -0.9, 0.3
    start = torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
    shrink = (1 - r * a) ** steps
    end = s + shrink * (2.0 - s)
    for order, factor in ((1, 1.0), (2, shrink)):
        inner = InnerLoop(steps, r, order)
        found = inner(lambda at: a / 2 * (at["x"] - s) ** 2, {"x": start})["x"]
        assert found.item() == pytest.approx(end, abs=1e-12)
        outer = b / 2 * (found - q) ** 2
        assert torch.autograd.grad(outer, start)[0].item() == pytest.approx(b * (end - q) * factor, abs=1e-12)


class Tiny(nn.Module):
    """A smooth backbone with batch normalisation: finite differences need no kinks to be right."""

    def __init__(self, features=4):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 3, 2), nn.BatchNorm2d(3), nn.Tanh(), nn.Conv2d(3, features, 2), nn.BatchNorm2d(features)
        )

    def forward(self, images):
        return torch.tanh(self.layers(images)).mean(dim=(2, 3))


@pytest.fixture
def tiny():
    torch.manual_seed(3)
    return Tiny().double()


def episode(kind="multi-class", count=9, seed=5):
    chance = torch.Generator().manual_seed(seed)
    card = mm.task(KINDS[kind])
    images = torch.randn(2, count, 3, 4, 4, generator=chance, dtype=torch.float64)
    labels = torch.arange(count) % len(card.labels)
    return card, images[0], images[1], labels


def outer_loss(model, inner, kind="multi-class", **settings):
    card, support, query, labels = episode(kind)
    return Learner(model, 4, inner, **settings).adapt(card, support, labels).loss(query, labels)


def difference(model, direction, step=1e-5, **settings):
    """Return the central difference of the outer loss along a direction in the space of the weights."""
    losses = []
    for sign in (1, -1):
        moved = copy.deepcopy(model)
        with torch.no_grad():
            for weight, part in zip(moved.parameters(), direction, strict=True):
                weight += sign * step * part
        losses.append(outer_loss(moved, InnerLoop(3, 0.5, 1), **settings).item())
    return (losses[0] - losses[1]) / (2 * step)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("batch_norm", ["support", "batch", "running"])
def test_the_second_order_gradient_is_that_of_finite_differences(tiny, kind, batch_norm, monkeypatch):
    """Along random directions; first order is another gradient, so that the test tells them apart."""
    monkeypatch.setattr(torch.Tensor, "float", torch.Tensor.double)  # heads compute in float32, which is too coarse
    settings = {"kind": kind, "batch_norm": batch_norm}
    weights = list(tiny.parameters())
    full, first = (
        torch.autograd.grad(outer_loss(tiny, InnerLoop(3, 0.5, order), **settings), weights) for order in (2, 1)
    )
    chance = torch.Generator().manual_seed(1)
    for _ in range(2):
        direction = [torch.randn(weight.shape, generator=chance, dtype=torch.float64) for weight in weights]
        along, along_first = (
            sum((part * way).sum().item() for part, way in zip(parts, direction, strict=True))
            for parts in (full, first)
        )
        measured = difference(tiny, direction, **settings)
        assert along == pytest.approx(measured, rel=1e-5, abs=1e-9)
        assert abs(along_first - measured) > 1e-4 * abs(measured)


def test_the_head_starts_at_zero_whatever_the_seed(tiny):
    """So the first step moves the head alone: without inner steps of the backbone, logits are those of a probe."""
    card, support, query, labels = episode()
    results = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        results.append(Learner(tiny, 4, InnerLoop(1, 0.1)).adapt(card, support, labels))
    assert torch.equal(results[0].logits(query), results[1].logits(query))
    for name, weight in tiny.named_parameters():
        assert torch.equal(results[0].parameters[name], weight)
    assert results[0].parameters["head/weight"].abs().sum() > 0


@pytest.mark.parametrize("batch_norm", ["support", "batch", "running"])
def test_adapting_changes_nothing_of_the_backbone(tiny, batch_norm):
    tiny.train()
    before = {name: value.clone() for name, value in tiny.state_dict().items()}
    outer_loss(tiny, InnerLoop(2, 0.1), batch_norm=batch_norm).backward()
    assert tiny.training
    assert all(torch.equal(value, before[name]) for name, value in tiny.state_dict().items())


def test_query_images_help_each_other_by_their_own_statistics_alone(tiny):
    """With those of the support set, or running ones, an image is scored as if it came alone; not with a batch's."""
    card, support, query, labels = episode()
    for kind, alone in (("support", True), ("running", True), ("batch", False)):
        adapted = Learner(tiny, 4, InnerLoop(2, 0.1), batch_norm=kind).adapt(card, support, labels)
        together = adapted.logits(query)
        single = torch.cat([adapted.logits(query[place : place + 2])[:1] for place in range(len(query) - 1)])
        assert torch.allclose(single, together[:-1], atol=1e-9) is alone


def test_statistics_of_a_batch_are_those_of_training_mode(tiny):
    card, support, _, labels = episode()
    adapted = Learner(tiny, 4, InnerLoop(1, 0.1), batch_norm="batch").adapt(card, support, labels)
    features = tiny.train()(support)
    expected = features @ adapted.parameters["head/weight"].T + adapted.parameters["head/bias"]
    torch.testing.assert_close(adapted.logits(support), expected)


def test_running_averages_follow_images_where_it_is_asked_for(tiny):
    _, support, _, _ = episode()
    other = copy.deepcopy(tiny).train()
    other(support)
    Learner(tiny.eval(), 4).follow(support)
    assert not tiny.training
    torch.testing.assert_close(dict(tiny.named_buffers()), dict(other.named_buffers()))


def test_the_card_of_an_episode_has_its_classes_alone():
    card = episode_card(mm.task("dr_regular/Clarity"), ("Level 2", "Level 1"))
    assert card.classes == ("Level 2", "Level 1")
    assert card.keys == (0, 1)
    assert card.outputs == 2


def blobs(chance, plane, shots=4):
    """Two classes apart along a random direction of a plane, in noise that is three times as large across it."""
    direction = torch.randn(2, generator=chance) @ plane
    direction = 1.5 * direction / direction.norm()
    labels = torch.arange(4 * shots) % 2
    across = 3 * torch.randn(4 * shots, 12, generator=chance)
    across -= across @ plane.T @ plane
    points = (labels[:, None] * 2.0 - 1) * direction + across + 0.3 * torch.randn(4 * shots, 12, generator=chance)
    images = points.view(-1, 3, 2, 2)
    return (images[: 2 * shots], labels[: 2 * shots]), (images[2 * shots :], labels[2 * shots :])


@pytest.mark.parametrize("order", [1, 2])
def test_meta_training_lowers_the_loss_after_adapting(order):
    """Tasks of a family differ in a direction of one plane. Meta-training finds the plane, adapting the direction.

    The classes are apart by ten deviations within the plane, but by less than one in all: who has not learned the plane
    cannot tell them apart from 8 images. So the loss on new tasks of the family must fall by a third at least.
    """
    torch.manual_seed(0)
    plane = torch.linalg.qr(torch.randn(12, 2))[0].T
    backbone = nn.Sequential(nn.Flatten(), nn.Linear(12, 8), nn.Tanh())
    learner = Learner(backbone, 8, InnerLoop(4, 0.4, order))
    card = mm.task("bus/malignancy")
    chance = torch.Generator().manual_seed(1)

    def loss(generator):
        support, query = blobs(generator, plane)
        return learner.adapt(card, *support).loss(*query)

    def tested():
        generator = torch.Generator().manual_seed(2)
        return sum(loss(generator).item() for _ in range(20)) / 20

    before = tested()
    adam = torch.optim.Adam(backbone.parameters(), lr=2e-2)
    for _ in range(80):
        adam.zero_grad()
        loss(chance).backward()
        adam.step()
    assert tested() < before * 2 / 3
