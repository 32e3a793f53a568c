"""Datasets and tasks are found by folded names and by every filter; what is unknown offers what is near."""

import pytest

import medimeta as mm
from medimeta.catalogue.catalogue import default_catalogue
from medimeta.errors import UnknownNameError

ALL = tuple(card.id for card in mm.datasets())
NOT_COMMERCIAL = {"derm", "organs_axial", "organs_coronal", "organs_sagittal", "skinl_derm", "skinl_photo"}


def ids(**conditions):
    return {card.id for card in mm.datasets(**conditions)}


def test_there_are_19_datasets_54_tasks_and_10_domains():
    assert (len(mm.datasets()), len(mm.tasks()), len(default_catalogue().domains())) == (19, 54, 10)
    assert list(ALL) == sorted(ALL)
    assert len({task.id for task in mm.tasks()}) == 54


@pytest.mark.parametrize("name", ["dr_regular", "DR-Regular", "dr regular", " dr__regular "])
def test_names_of_datasets_are_folded(name):
    assert mm.dataset(name).id == "dr_regular"


@pytest.mark.parametrize("name", ["oct/disease class", "OCT/Disease_Class", "oct/disease-class", "oct/ disease  class"])
def test_names_of_tasks_are_folded(name):
    assert mm.task(name).id == "oct/disease class"


@pytest.mark.parametrize("name", ALL)
def test_a_dataset_alone_means_its_one_primary_task(name):
    card = mm.dataset(name)
    assert [task for task in card.tasks if task.primary] == [mm.task(name)]
    assert mm.task(name).name == card.primary_task


@pytest.mark.parametrize(
    ("domain", "expected"),
    [
        ("Retinal fundus", {"dr_regular", "dr_uwf", "fundus", "glaucoma"}),
        ("retinal_FUNDUS", {"dr_regular", "dr_uwf", "fundus", "glaucoma"}),
        ("Microscopy", {"aml", "pbc"}),
        ("oct", {"oct"}),
    ],
)
def test_domain_is_a_filter(domain, expected):
    assert ids(domain=domain) == expected
    assert {task.dataset for task in mm.tasks(domain=domain)} == expected


@pytest.mark.parametrize(
    ("names", "tasks"),
    [
        (["multi-class", "Multiclass", "MULTICLASS_CLASSIFICATION", "multiclass classification"], 30),
        (["binary", "BINARY_CLASSIFICATION", mm.TaskTarget.BINARY], 13),
        (["multi-label", "multi_label", "MULTILABEL_CLASSIFICATION"], 6),
        (["ordinal", "Ordinal", "ordinal regression", "ORDINAL_REGRESSION"], 5),
    ],
    ids=lambda value: str(value[0]) if isinstance(value, list) else None,
)
def test_target_is_a_filter_in_words_and_in_the_form_of_the_release(names, tasks):
    for name in names:
        found = mm.tasks(target=name)
        assert len(found) == tasks
        assert ids(target=name) == {task.dataset for task in found}


def test_kinds_of_tasks_are_counted_once_each():
    assert sum(len(mm.tasks(target=kind)) for kind in mm.TaskTarget) == 54


def test_commercial_use_is_decided_by_the_strictest_licence_of_release_and_sources():
    assert ids(commercial=False) == NOT_COMMERCIAL
    assert ids(commercial=True) == set(ALL) - NOT_COMMERCIAL
    assert mm.dataset("derm").released_licence == "CC-BY-SA-4.0"  # which alone would allow it


@pytest.mark.parametrize(
    ("licence", "expected"),
    [
        ("CC-BY-NC-4.0", {"derm"}),
        ("cc by nc sa 4.0", NOT_COMMERCIAL - {"derm"}),
        ("CC-BY-3.0", {"aml", "mammo_calc", "mammo_mass"}),
        ("NIH-ChestXray14", {"cxr"}),
    ],
)
def test_licence_is_a_filter(licence, expected):
    assert ids(licence=licence) == expected


def test_numbers_of_samples_are_inclusive_bounds():
    assert ids(max_samples=780) == {"bus", "dr_uwf"}
    assert ids(max_samples=779) == {"dr_uwf"}
    assert ids(min_samples=107_180) == {"crc", "cxr", "oct"}
    assert ids(min_samples=780, max_samples=780) == {"bus"}
    assert ids(min_samples=2, max_samples=1) == set()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mammo_mass", {"mammo_calc"}),
        ("Skinl-Derm", {"derm", "skinl_photo"}),
        ("organs_axial", {"organs_coronal", "organs_sagittal"}),
        ("bus", set()),
    ],
)
def test_overlaps_are_a_filter(name, expected):
    assert ids(overlaps=name) == expected


def test_conditions_add_up():
    assert ids(domain="Retinal fundus", target="ordinal", max_samples=1000) == {"dr_uwf"}
    assert [task.id for task in mm.tasks("Retinal fundus", "binary", "glaucoma")] == ["glaucoma/Glaucoma suspect"]
    assert mm.tasks(domain="OCT", dataset="bus") == ()


@pytest.mark.parametrize(
    ("look_up", "message"),
    [
        (lambda: mm.dataset("mamo mass"), "unknown dataset 'mamo mass'. Did you mean 'mammo_mass'"),
        (lambda: mm.task("oct/desease class"), "unknown task of oct 'desease class'. Did you mean 'disease class'"),
        (lambda: mm.task("otc/disease class"), "unknown dataset 'otc'. Did you mean 'oct'"),
        (lambda: mm.datasets(domain="retina"), "unknown domain 'retina'. Did you mean 'Retinal fundus'"),
        (lambda: mm.tasks(domain="fundos"), "Did you mean 'Retinal fundus'"),
        (lambda: mm.datasets(target="multi"), "unknown target 'multi'. Did you mean 'multi-"),
        (lambda: mm.tasks(target="regression"), "Known: binary, multi-class, multi-label, ordinal."),
        (lambda: mm.datasets(licence="CC-BY-4"), "unknown licence 'CC-BY-4'. Did you mean 'CC-BY-4.0'"),
        (lambda: mm.datasets(overlaps="mammo"), "Did you mean 'mammo_"),
        (lambda: mm.tasks(dataset="skinl"), "Did you mean 'skinl_"),
        (lambda: mm.dataset(""), "unknown dataset ''. Known: aml, bus, "),
    ],
)
def test_an_unknown_value_offers_those_near_or_all(look_up, message):
    with pytest.raises(UnknownNameError) as caught:
        look_up()
    assert message in str(caught.value)
    assert isinstance(caught.value, (KeyError, ValueError))
    assert caught.value.exit_code == 2
