"""``pretraining_tasks``: nothing of the target's domain or subjects is left, and nothing else is missing."""

import shutil

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

import medimeta as mm
from medimeta.catalogue.catalogue import default_catalogue
from medimeta.errors import DamagedStoreError, UnknownNameError

IDS = [card.id for card in mm.datasets()]

# What release 1.0's cards name as overlaps of domain or subjects, by hand.
LEFT_OUT = {
    "aml": {"pbc"},
    "bus": set(),
    "crc": set(),
    "cxr": {"pneumonia"},
    "derm": {"skinl_derm"},
    "dr_regular": {"dr_uwf", "fundus", "glaucoma"},
    "dr_uwf": {"dr_regular", "fundus", "glaucoma"},
    "fundus": {"dr_regular", "dr_uwf", "glaucoma"},
    "glaucoma": {"dr_regular", "dr_uwf", "fundus"},
    "mammo_calc": {"mammo_mass"},
    "mammo_mass": {"mammo_calc"},
    "oct": set(),
    "organs_axial": {"organs_coronal", "organs_sagittal"},
    "organs_coronal": {"organs_axial", "organs_sagittal"},
    "organs_sagittal": {"organs_axial", "organs_coronal"},
    "pbc": {"aml"},
    "pneumonia": {"cxr"},
    "skinl_derm": {"derm", "skinl_photo"},  # derm by domain, skinl_photo by subjects
    "skinl_photo": {"skinl_derm"},  # but not derm: overlaps do not pass on
}


def datasets_of(tasks):
    return {task.dataset for task in tasks}


@pytest.mark.parametrize("target", IDS)
def test_the_target_and_its_overlaps_are_left_out_and_nothing_else(target):
    allowed = mm.pretraining_tasks(target)
    assert set(IDS) - datasets_of(allowed) == {target} | LEFT_OUT[target]
    assert allowed == tuple(task for task in mm.tasks() if task.dataset in datasets_of(allowed))


@pytest.mark.parametrize(
    ("target", "count"), [("oct", 52), ("cxr", 50), ("dr_regular", 45), ("skinl_derm", 29), ("skinl_photo", 30)]
)
def test_so_many_of_the_54_tasks_are_left(target, count):
    assert len(mm.pretraining_tasks(target)) == count


@given(st.sampled_from(IDS), st.sampled_from(IDS))
def test_if_one_may_not_prepare_for_another_the_other_may_not_for_the_one(one, other):
    assert (one in datasets_of(mm.pretraining_tasks(other))) == (other in datasets_of(mm.pretraining_tasks(one)))


@pytest.mark.parametrize("task", mm.tasks(), ids=lambda task: task.id)
def test_a_task_leaves_out_what_its_dataset_does(task):
    assert mm.pretraining_tasks(task.id) == mm.pretraining_tasks(task.dataset)


def test_no_domain_and_no_overlap_of_the_catalogue_slips_in():
    catalogue = default_catalogue()
    for target in IDS:
        allowed = {task.dataset for task in mm.pretraining_tasks(target)}
        assert allowed.isdisjoint(catalogue.overlapping(target))
        assert mm.dataset(target).domain not in {mm.dataset(name).domain for name in allowed}


@pytest.mark.parametrize("field", ["domain_overlaps", "subject_overlaps"])
def test_an_overlap_that_only_one_card_names_counts_for_both(change_card, field):
    change_card("crc", **{field: ("oct",)})
    assert "crc" not in datasets_of(mm.pretraining_tasks("oct"))
    assert "oct" not in datasets_of(mm.pretraining_tasks("crc"))


def test_a_domain_counts_where_no_card_names_an_overlap(change_card):
    change_card("crc", domain="oct")  # case is ignored
    assert "crc" not in datasets_of(mm.pretraining_tasks("oct"))


def test_names_are_folded():
    assert mm.pretraining_tasks("DR-Regular/dr_level") == mm.pretraining_tasks("dr_regular")


def test_datasets_to_choose_from_keep_their_order_and_come_once():
    found = mm.pretraining_tasks("cxr", datasets=["pbc", "pneumonia", "bus", "PBC", "cxr"])
    assert [task.id for task in found] == ["pbc/cell class", "bus/case category", "bus/malignancy"]
    assert mm.pretraining_tasks("cxr", datasets="pbc") == mm.tasks(dataset="pbc")
    assert mm.pretraining_tasks("cxr", datasets=["pneumonia"]) == mm.pretraining_tasks("cxr", datasets=[]) == ()


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("octt", "unknown dataset 'octt'. Did you mean 'oct'"),
        ("oct/desease class", "disease class"),
        ("", "unknown dataset ''"),
        ("oct/", "unknown task of oct ''"),
    ],
)
def test_unknown_targets_offer_those_near(tmp_path, target, message):
    with pytest.raises(UnknownNameError, match=message):
        mm.pretraining_tasks(target, tmp_path)


def test_unknown_datasets_to_choose_from_are_told(tmp_path):
    with pytest.raises(UnknownNameError, match="unknown dataset 'pcb'. Did you mean 'pbc'"):
        mm.pretraining_tasks("oct", tmp_path, datasets=["bus", "pcb"])


# One's own data


@pytest.fixture
def own_root(small_root, tmp_path):
    """A root with a dataset that the catalogue does not have."""

    def make(**said):
        folder = tmp_path / "mine"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(small_root / "bus", folder)
        raw = yaml.safe_load((folder / "info.yaml").read_text())
        (folder / "info.yaml").write_text(yaml.safe_dump({**raw, "id": "mine", **said}))
        return tmp_path

    return make


def test_own_data_are_a_target_like_any_other(own_root):
    assert mm.pretraining_tasks("mine/malignancy", own_root(domain="own data")) == mm.tasks()


@pytest.mark.parametrize(
    ("said", "left_out"),
    [
        ({"domain": "Chest x-ray"}, {"cxr", "pneumonia"}),
        ({"domain": "own data", "domain_overlaps": ["oct"]}, {"oct"}),
        ({"domain": "own data", "subject_overlaps": ["crc", "aml"]}, {"crc", "aml"}),
    ],
)
def test_what_own_data_say_of_themselves_is_left_out_both_ways(own_root, said, left_out):
    root = own_root(**said)
    assert set(IDS) - datasets_of(mm.pretraining_tasks("mine", root)) == left_out
    for target in ("bus", *sorted(left_out)):
        found = datasets_of(mm.pretraining_tasks(target, root, datasets=["mine", "derm"]))
        assert found == ({"derm"} if target in left_out else {"mine", "derm"})


def test_own_data_whose_overlaps_do_not_read_are_told(own_root):
    with pytest.raises(DamagedStoreError, match="subject_overlaps"):
        mm.pretraining_tasks("mine", own_root(subject_overlaps="crc"))


def test_the_root_of_own_data_may_come_from_the_environment(own_root, monkeypatch):
    monkeypatch.setenv("MEDIMETA_ROOT", str(own_root(domain="OCT")))
    assert "oct" not in datasets_of(mm.pretraining_tasks("mine"))
