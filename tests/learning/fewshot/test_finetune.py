"""Fine-tuning goes through the support set in fair batches, and predicts each query image by itself."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import medimeta as mm
from medimeta.learning.fewshot.config import FewShotConfig
from medimeta.learning.fewshot.finetune import FineTuning, batches
from medimeta.learning.fewshot.method import EpisodeImages, Network
from medimeta.learning.heads import Head

pytestmark = pytest.mark.usefixtures("one_thread")
TASK = mm.task("bus/case category")


@given(st.integers(1, 40), st.integers(1, 20), st.integers(0, 2**32))
def test_a_round_visits_each_image_once_in_batches_that_differ_by_one(count, most, seed):
    rounds = batches(count, most, torch.Generator().manual_seed(seed))
    parts = -(-count // most)
    for _ in range(2):
        chosen = [next(rounds) for _ in range(parts)]
        sizes = [len(part) for part in chosen]
        assert sorted(torch.cat(chosen).tolist()) == list(range(count))
        assert max(sizes) <= most
        assert max(sizes) - min(sizes) <= 1


def learn(query, seed=0, **settings):
    """Fine-tune a tiny network of batch normalisation; return it and its logits of query images."""
    torch.manual_seed(seed)
    backbone = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    labels = torch.arange(12) % 3
    support = torch.randn(12, 3, 6, 6) + labels[:, None, None, None]
    network = Network(backbone, Head(4, TASK)).train()
    episode = EpisodeImages(0, TASK, support, labels, query, torch.Generator().manual_seed(1))
    config = FewShotConfig(**{"steps": 30, "learning_rate": 0.05, **settings})
    return network, FineTuning().logits(network, episode, config)


def test_query_images_do_not_help_each_other():
    """A query image alone gets the logits that it gets among others, whatever is in the batch."""
    query = torch.randn(5, 3, 6, 6)
    _, together = learn(query)
    for place in range(5):
        torch.testing.assert_close(learn(query[place : place + 1])[1][0], together[place], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(learn(query, batch_size=12)[1], together)


@pytest.mark.parametrize("batch_size", [12, 5])
def test_the_whole_network_learns(batch_size):
    """The head and the first layer move, and the support set of three brightnesses is told apart."""
    start, _ = learn(torch.zeros(1, 3, 6, 6), steps=0)
    levels = torch.arange(3.0)[:, None, None, None] + torch.zeros(3, 3, 6, 6)
    network, logits = learn(levels, batch_size=batch_size)
    assert logits.argmax(dim=1).tolist() == [0, 1, 2]
    assert not torch.equal(network.head.weight, start.head.weight)
    assert not torch.equal(network.backbone[0].weight, start.backbone[0].weight)
    assert not torch.equal(network.backbone[1].running_mean, start.backbone[1].running_mean)
