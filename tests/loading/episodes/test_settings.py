"""Settings that cannot be meant, classes with too few images, and episodes as batches."""

import pickle

import numpy as np
import pytest
import torch

import medimeta as mm
from medimeta.catalogue.schema import TaskTarget
from medimeta.errors import UsageError


@pytest.mark.parametrize(
    ("further", "words"),
    [
        ({"shots": 0}, "shots must be a whole number from 1 to"),
        ({"shots": True}, "shots must be a whole number .*, got True"),
        ({"shots": 2.0}, "shots must be a whole number .*, got 2.0"),
        ({"shots": (1, 2, 3)}, r"shots must be a number or two bounds, \(least, most\); got \(1, 2, 3\)"),
        ({"shots": (3, 2)}, "shots: the lower bound comes first"),
        ({"shots": (0, 2)}, "shots must be a whole number from 1 to"),
        ({"shots": 10**30}, "shots must be a whole number from 1 to"),
        ({"queries": 0}, "queries must be a whole number from 1 to"),
        ({"queries": (1, 2)}, "queries must be a whole number"),
        ({"queries": None}, "queries must be a whole number .*, got None"),
        ({"ways": 1}, "ways must be 2 to 3, the number of classes; got 1"),
        ({"ways": 4}, "ways must be 2 to 3"),
        ({"ways": (2, 4)}, r"ways must be 2 to 3, the number of classes; got \(2, 4\)"),
        ({"ways": "3"}, "ways must be a whole number"),
        ({"length": 0}, "length must be a whole number from 1 to"),
        ({"length": 2**63}, "length must be a whole number from 1 to"),
        ({"seed": None}, "seed must be a whole number"),
        (
            {"seed": -(2**63)},
            "seed must be a whole number from -9,223,372,036,854,775,807 to 9,223,372,036,854,775,807",
        ),
        ({"seed": 1.5}, "seed must be a whole number"),
        ({"min_samples": 0}, "min_samples must be a whole number from 1 to"),
        ({"min_samples": 21}, "min_samples=21 leaves 0 of 3 classes; they have 20, 20, 20 images"),
        ({"disjoint_subjects": "no"}, "disjoint_subjects must be True or False, got 'no'"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(fake, further, words):
    with pytest.raises(UsageError, match=words):
        mm.Episodes(fake(np.repeat([0, 1, 2], 20)), **further)


def test_several_tasks_are_refused(built_root):
    with pytest.raises(UsageError, match="episodes are of one task"):
        mm.Episodes(mm.load("bus", root=built_root))


def test_multi_label_tasks_have_no_ways(fake):
    with pytest.raises(UsageError, match="is multi-label: its episodes cover all labels, and have no ways"):
        mm.Episodes(fake(np.eye(4, dtype=int)), 1, 1, ways=2)


def test_classes_with_too_few_images_are_named_all_at_once(fake):
    dataset = fake(np.repeat([0, 1, 2, 3], [20, 3, 14, 15]))
    with pytest.raises(UsageError) as caught:
        mm.Episodes(dataset)
    assert str(caught.value) == (
        "fake/findings: too few images for episodes of 5 shots and 10 queries:\n"
        "  - c1: has 3 images, needs 15\n"
        "  - c2: has 14 images, needs 15\n"
        "Ask for fewer. With min_samples=15 what has fewer than 15 images is left out."
    )
    episodes = mm.Episodes(dataset, min_samples=15)
    assert (episodes.classes, episodes.left_out, episodes.ways) == (("c0", "c3"), ("c1", "c2"), (2, 2))
    assert episodes[0].classes == ("c0", "c3")
    assert sorted(set(episodes[0].support_labels().tolist())) == [0, 1]
    with pytest.raises(UsageError, match="ways must be 2 to 2, the number of classes that have 15 images; got 3"):
        mm.Episodes(dataset, min_samples=15, ways=3)
    with pytest.raises(UsageError, match="c2: has 14 images, needs 15"):
        mm.Episodes(dataset, min_samples=14)


def test_the_most_shots_of_a_range_count(fake):
    with pytest.raises(UsageError, match="c1: has 8 images, needs 9"):
        mm.Episodes(fake(np.repeat([0, 1], [20, 8])), (1, 4), 5)


def test_classes_with_too_few_subjects_are_named(fake):
    dataset = fake(np.repeat([0, 1, 2], 20), np.concatenate([np.arange(20), np.full(20, 30), [40] * 12 + [41] * 8]))
    with pytest.raises(UsageError) as caught:
        mm.Episodes(dataset)
    assert str(caught.value) == (
        "fake/findings: too few images or subjects for episodes of 5 shots and 10 queries:\n"
        "  - c1: has 20 images of 1 subject, needs 5 and 10 of different subjects\n"
        "Ask for fewer. With disjoint_subjects=False a subject may be in both sets."
    )
    assert mm.Episodes(fake(np.repeat([0, 1], 20), np.repeat([0, 1, 2, 3], [12, 8, 12, 8])))[0].support.shape == (10,)


def test_labels_with_too_few_images_with_or_without_them_are_named(fake):
    labels = np.zeros((30, 3), int)
    labels[:4, 0] = labels[:26, 1] = labels[::2, 2] = 1
    with pytest.raises(UsageError) as caught:
        mm.Episodes(fake(labels), 2, 3)
    assert caught.value.problems == (
        "c0: has 4 images with it and 26 without, needs 5 of each",
        "c1: has 26 images with it and 4 without, needs 5 of each",
    )
    assert mm.Episodes(fake(labels), 2, 3, min_samples=5).classes == ("c2",)
    with pytest.raises(UsageError, match="c0: has 15 images without it of 1 subject, needs 2 and 3 of different subj"):
        mm.Episodes(fake(labels[:, 2:], np.where(labels[:, 2] == 1, np.arange(30), 30)), 2, 3)


def test_labels_that_share_their_images_are_named(fake):
    """Of each label there is enough, but three labels with two images each make an odd circle."""
    labels = [[1, 1, 0], [0, 1, 1], [1, 0, 1], [0, 0, 0], [0, 0, 0]]
    with pytest.raises(
        UsageError,
        match="there is no episode of 1 shots and 1 queries, because classes share images. .*"
        "has 2 images with it, needs 1 for the support and 1 for the query set. Ask for fewer.$",
    ):
        mm.Episodes(fake(labels), 1, 1)


def test_batches_count_labels_as_the_episode_does(fake):
    dataset = fake(np.tile([1, 4, 7], 20), target=TaskTarget.ORDINAL, keys=(1, 4, 7))
    episode = mm.Episodes(dataset, 2, 3, ways=2, seed=2)[0]
    assert episode.classes == ("c1", "c7")
    images, labels = episode.support_batch()
    assert labels.tolist() == [0, 0, 1, 1]
    assert labels.dtype is torch.int64
    assert images[:, 0, 0, 0].tolist() == episode.support.tolist()
    assert episode.query_batch()[1].tolist() == [0, 0, 0, 1, 1, 1]
    assert [int(label) for _, label in episode.query_set()] == [1, 1, 1, 7, 7, 7]
    assert pickle.loads(pickle.dumps(episode)).query.tolist() == episode.query.tolist()


def test_batches_take_what_a_transform_makes(fake):
    dataset = fake(np.tile([0, 1], 20))
    episode = mm.Episodes(dataset, 2, 3)[0]
    dataset.transform = lambda image: image.float().mean(dim=(1, 2))
    assert episode.query_batch()[0].shape == (6, 1)
    for transform in (lambda image: image.numpy(), lambda image: image[:, : 1 + int(image.max()) % 2]):
        dataset.transform = transform
        with pytest.raises(UsageError, match="a batch takes tensors of one shape"):
            episode.query_batch()


def test_a_pickle_holds_settings_and_not_what_follows_from_them(fake):
    episodes = mm.Episodes(fake(np.tile([0, 1], 50_000)), length=7)
    dataset = len(pickle.dumps(episodes.dataset))
    assert len(pickle.dumps(episodes)) < dataset + 1_000
    assert repr(pickle.loads(pickle.dumps(episodes))) == repr(episodes)
    assert repr(episodes) == "Episodes('fake/findings', shots=5, queries=10, ways=2, length=7)"
