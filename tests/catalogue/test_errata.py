"""What release 1.0 got wrong is on the cards, and is so: shown on real tables where they are at hand."""

import csv
import re
from collections import Counter
from importlib.resources import files

import pytest
import yaml
from pydantic import ValidationError

import medimeta as mm
from medimeta.catalogue.catalogue import default_catalogue
from medimeta.catalogue.reading import read_cards, read_licences
from medimeta.catalogue.views import dataset_details
from medimeta.errors import CardError
from medimeta.recipes.splits import TRAIN_VAL, random_split

CATALOGUE = default_catalogue()
EXPECTED = {
    ("aml", "bilobed-misspelt", "names", False),
    ("bus", "first-mask-only", "masks", True),
    ("derm", "licence-laxer-than-source", "licence", False),
    ("glaucoma", "disc-and-cup-swapped", "masks", True),
    ("glaucoma", "order-not-recoverable", "splits", False),
    ("mammo_calc", "lucent-centered-as-center", "labels", True),
    ("mammo_calc", "shared-patients-undeclared", "overlaps", False),
    ("mammo_mass", "shared-patients-undeclared", "overlaps", False),
    ("organs_axial", "tumour-masks-uncut", "masks", True),
    ("organs_coronal", "tumour-masks-uncut", "masks", True),
    ("organs_sagittal", "tumour-masks-uncut", "masks", True),
    ("pbc", "cells-called-diseased", "names", False),
    ("pbc", "two-ids", "names", False),
    ("skinl_derm", "licence-laxer-than-source", "licence", False),
    ("skinl_photo", "licence-laxer-than-source", "licence", False),
}


def erratum(dataset, name):
    return next(erratum for erratum in mm.dataset(dataset).errata if erratum.id == name)


def test_the_list_is_complete():
    found = [(card.id, known.id, known.affects, known.repeatable) for card in mm.datasets() for known in card.errata]
    assert len(found) == len(EXPECTED)
    assert set(found) == EXPECTED


@pytest.mark.parametrize("card", mm.datasets(), ids=lambda card: card.id)
def test_machines_get_the_errata_too(card):
    assert dataset_details(card, CATALOGUE)["errata"] == [known.model_dump() for known in card.errata]
    for told in dataset_details(card, CATALOGUE)["errata"]:
        assert set(told) == {"id", "affects", "release", "here", "repeatable"}


def test_an_erratum_cannot_be_changed():
    with pytest.raises(ValidationError, match="frozen"):
        mm.dataset("bus").errata[0].release = "nothing"


BUS = yaml.safe_load((files("medimeta.catalogue") / "cards" / "bus.yaml").read_text(encoding="utf-8"))
GOOD = {"id": "some-mistake", "affects": "masks", "release": "Errs.", "here": "Does not.", "repeatable": True}


@pytest.mark.parametrize(
    ("errata", "message"),
    [
        ([GOOD, {**GOOD, "affects": "labels"}], "errata: two errata are called 'some-mistake'"),
        (
            [{**GOOD, "affects": "licence"}],
            "errata.0: a build repeats only what affects labels or masks, not licence",
        ),
        ([{**GOOD, "id": "some_mistake"}], "errata.0.id: String should match pattern"),
        ([{**GOOD, "id": "Some-Mistake-"}], "errata.0.id: String should match pattern"),
        ([{**GOOD, "affects": "colours"}], "errata.0.affects: Input should be 'labels', 'masks', 'splits',"),
        ([{**GOOD, "here": " "}], "errata.0.here: String should have at least 1 character"),
        ([{**GOOD, "since": 1}], "errata.0.since: Extra inputs are not permitted"),
        (["some-mistake"], "errata.0: Input should be a valid dictionary or instance of Erratum"),
    ],
)
def test_a_mistake_in_an_erratum_is_one_problem_with_its_field(tmp_path, errata, message):
    (tmp_path / "bus.yaml").write_text(yaml.safe_dump({**BUS, "errata": errata}), encoding="utf-8")
    with pytest.raises(CardError) as caught:
        read_cards(tmp_path.iterdir(), read_licences())
    assert str(caught.value).startswith(f"1 problem in the cards:\n  - bus.yaml: {message}")
    assert str(caught.value).count("\n") == 1


def test_errata_that_affect_other_things_need_not_be_repeatable(tmp_path):
    errata = [{**GOOD, "id": kind, "affects": kind, "repeatable": False} for kind in ("splits", "overlaps", "counts")]
    (tmp_path / "bus.yaml").write_text(yaml.safe_dump({**BUS, "errata": errata}), encoding="utf-8")
    [card] = read_cards(tmp_path.iterdir(), read_licences())
    assert [known.affects for known in card.errata] == ["splits", "overlaps", "counts"]


@pytest.mark.parametrize("card", mm.datasets(), ids=lambda card: card.id)
def test_a_licence_is_an_erratum_where_the_release_allows_more_than_a_source(card):
    released = CATALOGUE.licence(card.released_licence)
    laxer = released.commercial and not all(CATALOGUE.licence(source.licence).commercial for source in card.sources)
    assert laxer == any(known.affects == "licence" for known in card.errata)
    if laxer:
        assert not CATALOGUE.commercial(card)


@pytest.fixture
def case_tables(real_originals):
    """Rows of the four tables of CBIS-DDSM, read with the csv module alone."""
    tables = {}
    for kind in ("mass", "calc"):
        for split in ("train", "test"):
            path = real_originals / "mammo" / f"{kind}_case_description_{split}_set.csv"
            with path.open(newline="", encoding="utf-8-sig") as file:
                tables[kind, split] = list(csv.DictReader(file))
    return tables


def test_patients_are_in_both_mammographies_and_across_their_splits(case_tables):
    patients = {key: {row["patient_id"] for row in rows} for key, rows in case_tables.items()}
    both = (patients["mass", "train"] | patients["mass", "test"]) & (
        patients["calc", "train"] | patients["calc", "test"]
    )
    counts = [
        len(both),
        len(patients["mass", "train"] & patients["calc", "test"]),
        len(patients["calc", "train"] & patients["mass", "test"]),
    ]
    assert counts == [79, 13, 18]
    for dataset in ("mammo_calc", "mammo_mass"):
        told = erratum(dataset, "shared-patients-undeclared").release
        assert [int(number) for number in re.findall(r"\d+", told)] == counts
    assert "mammo_mass" in CATALOGUE.overlapping("mammo_calc")


def test_of_all_lesion_words_one_is_in_another_and_44_rows_have_it(case_tables):
    wrong = Counter()
    for (kind, split), rows in case_tables.items():
        for task in mm.dataset(f"mammo_{kind}").tasks[1:]:  # those after the pathology
            for row in rows:
                words = set(row[task.name].split("-"))
                wrong.update((split, label) for label in task.classes if label in row[task.name] and label not in words)
    assert wrong == {("train", "LUCENT_CENTER"): 44}
    assert "the 44 rows that say LUCENT_CENTERED" in erratum("mammo_calc", "lucent-centered-as-center").release


def test_the_label_file_of_aml_has_the_code_and_not_the_misspelt_name(real_originals):
    text = (real_originals / "aml" / "annotations.dat").read_text()
    labels = mm.dataset("aml").primary.classes
    assert "PMB Promyelocyte (bilobled)" in labels
    assert {line.split("/")[0] for line in text.splitlines()} == {label.split()[0] for label in labels}
    assert "bilob" not in text


def test_the_cells_of_pbc_are_called_normal(real_originals):
    [archive] = (real_originals / "pbc").iterdir()
    assert "normal" in archive.name
    card = mm.dataset("pbc")
    assert card.id == "pbc"
    assert not re.search("disease|cancer|leuk", " ".join([card.name, card.summary, *card.primary.classes]))


def test_some_images_of_bus_have_several_masks(real_originals):
    names = [path.name for path in (real_originals / "bus").rglob("*_mask*.png")]
    several = [name for name in names if re.search(r"_mask_\d+\.png$", name)]
    assert several
    assert all(re.sub(r"_mask_\d+", "_mask", name) in names for name in several)


def test_another_order_of_files_splits_glaucoma_into_as_many_but_others():
    count = mm.dataset("glaucoma").original_samples.train
    splits = []
    for names in (range(count), reversed(range(count))):
        order = list(names)
        splits.append(dict(zip(order, random_split(order, TRAIN_VAL), strict=True)))
    samples = mm.dataset("glaucoma").samples
    assert Counter(splits[0].values()) == Counter(splits[1].values()) == {"train": samples.train, "val": samples.val}
    assert splits[0] != splits[1]
