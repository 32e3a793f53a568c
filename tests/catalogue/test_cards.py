"""The packaged cards say what release 1.0 has, cannot be changed, and are told whom to cite."""

import pickle
import re

import pytest
from pydantic import ValidationError

import medimeta as mm
from medimeta.catalogue.bibtex import bibtex
from medimeta.catalogue.catalogue import default_catalogue
from medimeta.catalogue.schema import FrozenDict

CARDS = {card.id: card for card in mm.datasets()}
every_card = pytest.mark.parametrize("card", CARDS.values(), ids=CARDS)


def test_overlaps_are_symmetric():
    for field in ("domain_overlaps", "subject_overlaps"):
        pairs = {(card.id, other) for card in CARDS.values() for other in getattr(card, field)}
        assert pairs == {(other, card) for card, other in pairs}
    overlapping = default_catalogue().overlapping
    assert all(name in overlapping(other) for name in CARDS for other in overlapping(name))


def test_the_two_mammographies_declare_that_they_share_subjects():
    assert CARDS["mammo_calc"].subject_overlaps == ("mammo_mass",)
    assert CARDS["mammo_mass"].subject_overlaps == ("mammo_calc",)


@every_card
def test_samples_add_up(card):
    for samples in (card.samples, card.original_samples):
        assert sum(samples.of(split) for split in ("train", "val", "test")) == samples.total == card.samples.total


@every_card
def test_every_licence_that_a_card_names_is_known(card):
    names = {card.released_licence, *(source.licence for source in card.sources)}
    assert {licence.id for licence in default_catalogue().licences_of(card)} == names


@pytest.mark.parametrize(
    ("task", "keys"),
    [
        ("dr_regular/Artifact", (0, 1, 4, 6, 8, 10)),
        ("dr_regular/Clarity", (1, 4, 6, 8, 10)),
        ("dr_regular/Field definition", (1, 4, 6, 8, 10)),
        ("dr_regular/DR level", (0, 1, 2, 3, 4)),
        ("dr_uwf/DR level", (0, 1, 2, 3, 4)),
    ],
)
def test_ordinal_tasks_keep_their_original_grades(task, keys):
    card = mm.task(task)
    assert card.target is mm.TaskTarget.ORDINAL
    assert card.keys == keys
    assert [card.key_of(name) for name in card.classes] == list(keys)


@pytest.mark.parametrize("task", mm.tasks(), ids=lambda task: task.id)
def test_what_a_model_predicts_follows_from_the_labels(task):
    assert task.outputs == (1 if task.target is mm.TaskTarget.BINARY else len(task.classes))
    assert mm.task(task.id) is task


@pytest.mark.parametrize(("name", "shape"), [("bus", (64, 64)), ("pbc", (64, 64, 3))])
def test_a_card_tells_the_shape_of_a_stored_image(name, shape):
    assert mm.dataset(name).shape(64) == shape


@every_card
def test_cards_hash_pickle_and_compare_by_what_they_say(card):
    copy = pickle.loads(pickle.dumps(card))
    assert copy == card
    assert hash(copy) == hash(card)
    assert len({copy, card}) == 1
    with pytest.raises(TypeError, match="cannot be changed"):
        copy.primary.labels.clear()


@pytest.mark.parametrize(
    "change",
    [
        lambda labels: labels.update({0: "x"}),
        lambda labels: labels.pop(0),
        lambda labels: labels.popitem(),
        lambda labels: labels.setdefault(9, "x"),
        lambda labels: labels.__setitem__(0, "x"),
        lambda labels: labels.__delitem__(0),
        lambda labels: labels.__ior__({0: "x"}),
    ],
)
def test_labels_cannot_be_changed(change):
    labels = mm.task("bus/malignancy").labels
    with pytest.raises(TypeError, match="a card cannot be changed"):
        change(labels)
    assert labels == {0: "no malignant finding", 1: "malignant finding"}


def test_fields_of_cards_cannot_be_set():
    with pytest.raises(ValidationError, match="frozen"):
        mm.dataset("bus").name = "x"


def test_frozen_mappings_that_are_equal_hash_the_same():
    one, other = FrozenDict({"a": "1", "b": "2"}), FrozenDict({"b": "2", "a": "1"})
    assert one == other
    assert hash(one) == hash(other)


def entries_of(text):
    """Split BibTeX at its top-level braces; fails where they do not balance."""
    depth, start, entries = 0, 0, []
    for place, letter in enumerate(text):
        if letter in "{}" and text[place - 1] != "\\":
            depth += 1 if letter == "{" else -1
            assert depth >= 0
            if depth == 0:
                entries.append(text[start : place + 1].strip())
                start = place + 1
    assert depth == 0
    assert text[start:].strip() == ""
    return entries


@every_card
def test_bibtex_parses_and_has_each_key_once(card):
    entries = entries_of(bibtex(card))
    keys = [re.match(r"@[a-z]+\{([a-z]+\d{4}[a-z]*),\n", entry)[1] for entry in entries]
    assert keys[0] == "woerner2024medimeta"
    assert len(set(keys)) == len(keys)
    assert set(keys[1:]) == {source.paper.key for source in card.sources}
    for entry in entries:
        fields = dict(re.findall(r"^  (\w+) = \{(.*)\},?$", entry, re.MULTILINE))
        assert {"title", "author", "year"} <= fields.keys()
        assert re.fullmatch(r"\d{4}", fields["year"])
        assert not re.search(r"(?<!\\)[&%#]", fields["title"] + fields["author"])
