"""A broken card is refused with all its problems at once, each with file and field."""

from importlib.resources import files
from pathlib import Path

import pytest
import yaml

from medimeta.catalogue.reading import read_cards, read_licences
from medimeta.errors import CardError

CARDS = files("medimeta.catalogue") / "cards"
BUS = yaml.safe_load((CARDS / "bus.yaml").read_text(encoding="utf-8"))
PBC = yaml.safe_load((CARDS / "pbc.yaml").read_text(encoding="utf-8"))
AML = yaml.safe_load((CARDS / "aml.yaml").read_text(encoding="utf-8"))
CATEGORY, MALIGNANCY = BUS["tasks"]


@pytest.fixture
def problems(tmp_path):
    """Write cards, read them together, and return what is said of them."""

    def read(*cards: dict, **texts: str | bytes) -> str:
        for card in cards:
            (tmp_path / f"{card['id']}.yaml").write_text(yaml.safe_dump(card), encoding="utf-8")
        for name, text in texts.items():
            (tmp_path / f"{name}.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
        with pytest.raises(CardError) as caught:
            read_cards(tmp_path.glob("*.yaml"), read_licences())
        return str(caught.value)

    return read


def without(card: dict, *fields: str) -> dict:
    return {key: value for key, value in card.items() if key not in fields}


def test_good_cards_are_read_in_the_order_of_their_ids(tmp_path):
    for card in (PBC, BUS, AML):
        (tmp_path / f"{card['id']}.yaml").write_text("\ufeff" + yaml.safe_dump(card), encoding="utf-8")
    assert [card.id for card in read_cards(tmp_path.iterdir(), read_licences())] == ["aml", "bus", "pbc"]


def test_all_problems_of_all_cards_come_at_once(problems):
    broken = without(BUS, "name") | {
        "domain": 7,
        "samples": {"total": 780, "train": 546, "val": 78, "test": 155},
        "original_samples": {"total": 781, "train": "many", "val": 0, "test": 0},
        "released_licence": "MIT",
        "primary_task": "case catgory",
        "domain_overlaps": ["bus"],
        "tasks": [CATEGORY, {**MALIGNANCY, "name": "Case_Category", "labels": {1: "no", 2: "yes"}}],
        "colour": "grey",
    }
    found = problems(broken, crc="id: crc\n  name: [", oct="- a list\n", aml=yaml.safe_dump({**AML, "id": "aml2"}))
    assert found == (
        "14 problems in the cards:\n"
        "  - aml.yaml: id: is 'aml2', so the file must be called aml2.yaml\n"
        "  - bus.yaml: tasks.1.name: two tasks are called 'Case_Category' (spaces, _ and - are the same)\n"
        "  - bus.yaml: primary_task: 'case catgory' is none of the tasks: case category, Case_Category\n"
        "  - bus.yaml: original_samples.total: is 781, but samples.total is 780\n"
        "  - bus.yaml: released_licence: unknown licence 'MIT'; known: CC-BY-3.0, CC-BY-4.0, CC-BY-SA-4.0, "
        "CC-BY-NC-4.0, CC-BY-NC-SA-4.0, NIH-ChestXray14\n"
        "  - bus.yaml: domain_overlaps: a dataset does not overlap with itself\n"
        "  - bus.yaml: name: Field required\n"
        "  - bus.yaml: domain: Input should be a valid string, got 7\n"
        "  - bus.yaml: samples: train + val + test is 779, but total is 780\n"
        "  - bus.yaml: original_samples.train: Input should be a valid integer, unable to parse string as an integer, "
        "got 'many'\n"
        "  - bus.yaml: tasks.1: a binary task has the label keys 0 and 1, got [1, 2]\n"
        "  - bus.yaml: colour: Extra inputs are not permitted, got 'grey'\n"
        "  - crc.yaml: is not valid YAML: mapping values are not allowed in this context "
        'in "<unicode string>", line 2, column 7\n'
        "  - oct.yaml: must be a mapping of fields, got list"
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"channels": 2}, "channels: must be 1 (grey) or 3 (colour), got 2"),
        ({"channels": 4}, "channels: Input should be less than or equal to 3, got 4"),
        ({"recipe": "../bus"}, "recipe: String should match pattern '^[a-z][a-z0-9_]*$', got '../bus'"),
        ({"primary_task": "malignant"}, "primary_task: 'malignant' is none of the tasks: case category, malignancy"),
        ({"domain_overlaps": ["nosuch"]}, "domain_overlaps: 'nosuch' is not a dataset"),
        ({"tasks": []}, "tasks: Tuple should have at least 1 item after validation, not 0"),
        ({"subject_overlaps": "oct"}, "subject_overlaps: Input should be a valid tuple, got 'oct'"),
        (
            {"sources": [{**BUS["sources"][0], "url": "ftp://x"}]},
            r"sources.0.url: String should match pattern '^https?://\S+$', got 'ftp://x'",
        ),
        ({"tasks": [{**CATEGORY, "name": "a/b"}], "primary_task": "a/b"}, "tasks.0.name: String should match pattern"),
        (
            {"tasks": [{**CATEGORY, "target": "GUESSING"}]},
            "tasks.0.target: Input should be 'MULTICLASS_CLASSIFICATION'",
        ),
        ({"tasks": [{**CATEGORY, "labels": {0: "a", 1: "a"}}]}, "tasks.0: two labels have the same name"),
        ({"tasks": [{**CATEGORY, "labels": {0: "a"}}]}, "tasks.0: a multi-class task needs more labels than 1"),
        (
            {"tasks": [{**CATEGORY, "labels": {0: "a", 2: "b"}}]},
            "tasks.0: label keys must count from 0 without a gap, got [0, 2]",
        ),
    ],
)
def test_each_mistake_is_one_problem_with_its_field(problems, change, message):
    found = problems({**BUS, **change})
    assert found.startswith(f"1 problem in the cards:\n  - bus.yaml: {message}")
    assert found.count("\n") == 1


def test_labels_must_ascend(problems):
    text = yaml.safe_dump({**BUS, "tasks": [CATEGORY, {**MALIGNANCY, "labels": {1: "yes", 0: "no"}}]}, sort_keys=False)
    assert "bus.yaml: tasks.1: label keys must ascend, got [1, 0]" in problems(bus=text)


def test_an_overlap_must_be_said_by_both(problems):
    assert problems({**PBC, "domain_overlaps": []}, AML) == (
        "1 problem in the cards:\n"
        "  - aml.yaml: domain_overlaps: names 'pbc', but pbc.yaml does not name 'aml': "
        "add it there, or explain it here under overlap_exceptions"
    )


def test_an_overlap_that_one_card_explains_may_be_one_sided(tmp_path):
    for card in ({**PBC, "domain_overlaps": []}, {**AML, "overlap_exceptions": {"pbc": "release 1.0 has it so"}}):
        (tmp_path / f"{card['id']}.yaml").write_text(yaml.safe_dump(card), encoding="utf-8")
    assert len(read_cards(tmp_path.iterdir(), read_licences())) == 2


def test_a_one_sided_overlap_is_told_along_with_problems_of_other_cards(problems):
    found = problems({**PBC, "domain_overlaps": []}, AML, without(BUS, "name"))
    assert "aml.yaml: domain_overlaps: names 'pbc'" in found
    assert "bus.yaml: name: Field required" in found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{" * 100_000, "is not valid YAML"),
        ("id: [bus", "is not valid YAML"),
        (b"\xff\xfe\x00", "cannot be read: 'utf-8' codec can't decode"),
        ("#" * 1_000_001, "cannot be read: is 1000001 bytes long, more than the 1000000 that a card may have"),
        ("", "must be a mapping of fields, got NoneType"),
    ],
    ids=["deep", "cut off", "no text", "huge", "empty"],
)
def test_what_is_no_card_is_refused(problems, text, message):
    assert problems(bus=text).startswith(f"1 problem in the cards:\n  - bus.yaml: {message}")


def test_a_card_cannot_run_code(problems, tmp_path):
    mark = tmp_path / "was here"
    found = problems(bus=f"id: !!python/object/apply:os.system ['touch \"{mark}\"']\n")
    assert "bus.yaml: is not valid YAML: could not determine a constructor for the tag" in found
    assert not mark.exists()


def test_a_card_that_is_not_there_is_told(tmp_path):
    with pytest.raises(CardError, match="bus.yaml: cannot be read: .*No such file"):
        read_cards([Path(tmp_path / "bus.yaml")], read_licences())
