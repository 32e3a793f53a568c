"""Runs are gathered by cell, and no row mixes what is not the same."""

import math
import random

import pytest
from tests.benchmark.made import make_few_shot, make_record

from medimeta.benchmark.rows import make_rows, natural, task_place


def only(*records):
    (row,) = make_rows(records)
    return row


def test_seeds_are_averaged_and_the_interval_is_the_widest():
    row = only(
        make_record(auroc=0.90, interval=(0.80, 0.95), seed=0),
        make_record(auroc=0.94, interval=(0.85, 0.99), seed=1),
        make_record(auroc=0.92, interval=(0.84, 0.96), seed=2),
    )
    assert row.auroc == pytest.approx(0.92)
    assert row.interval == (0.80, 0.99)
    assert row.spread == pytest.approx(0.02)  # standard deviation of 0.90, 0.92, 0.94
    assert [run.seed for run in row.runs] == [0, 1, 2]


def test_one_seed_has_no_spread():
    assert only(make_record()).spread is None


def test_seeds_without_a_figure_do_not_count_in_the_mean():
    row = only(make_record(auroc=None, interval=None), make_record(auroc=0.9, interval=(0.8, 1.0), seed=1))
    assert (row.auroc, row.interval, row.spread, len(row.runs)) == (0.9, (0.8, 1.0), None, 2)


def test_the_difference_is_to_the_papers_figure():
    assert only(make_record(auroc=0.98)).difference == pytest.approx(0.02)


@pytest.mark.parametrize(
    "changes",
    [{"task": "bus/malignancy"}, {"backbone": "resnet34"}, {"task": "my_cells/cell type"}],
)
def test_what_the_paper_does_not_report_has_no_difference(changes):
    row = only(make_record(**changes))
    assert (row.paper, row.difference) == (None, None)


def test_data_built_from_a_part_have_no_difference():
    row = only(make_record(data_partial=True))
    assert row.partial
    assert (row.paper, row.difference) == (0.96, None)


def test_the_difference_goes_by_the_papers_rule_for_absent_classes():
    test = {"auroc": 0.9, "auroc_interval": None, "absent": "skip", "auroc_by_rule": {"skip": 0.9, "zero": 0.6}}
    row = only(make_record(test=test))
    assert row.auroc == 0.9
    assert row.difference == pytest.approx(0.6 - 0.96)


@pytest.mark.parametrize(
    ("changes", "apart"),
    [
        ({"config": {"learning_rate": 0.01}}, "learning_rate"),
        ({"config": {"augmentation": {"rotation": 5}}}, "augmentation.rotation"),
        ({"data": "e" * 64}, "data"),
        ({"test": {"auroc": 0.5, "auroc_interval": None, "absent": "zero"}}, "absent"),
    ],
)
def test_runs_with_other_settings_or_data_are_rows_of_their_own(changes, apart):
    rows = make_rows([make_record(), make_record(**changes)])
    assert len(rows) == 2
    assert all(row.apart.startswith(apart) for row in rows)
    assert len({row.apart for row in rows}) == 2


def test_files_of_weights_are_told_apart_by_what_is_in_them():
    rows = make_rows([make_record(weights=f"sha256:{each * 64}", weights_name="mine") for each in "ab"])
    assert [row.apart for row in rows] == ["weights aaaaaaaa", "weights bbbbbbbb"]


def test_rows_that_nothing_sets_apart_say_nothing():
    rows = make_rows([make_record(), make_record(backbone="resnet50"), make_record("pbc/cell class")])
    assert [row.apart for row in rows] == ["", "", ""]


def test_the_order_is_the_catalogues_whatever_ran_first():
    records = [
        *(
            make_record(task, backbone=backbone)
            for task in ("pbc/cell class", "bus/malignancy", "bus/case category")
            for backbone in ("resnet101", "resnet50", "resnet18")
        ),
        make_record("my_cells/cell type"),
        make_record(weights="none", weights_name="scratch"),
        *(make_few_shot(shots, method=method) for method in ("maml", "finetune") for shots in (10, 5)),
    ]
    expected = [(row.task, row.method, row.backbone, row.weights, row.shots) for row in make_rows(records)]
    assert expected[:7] == [
        ("bus/case category", "supervised", "resnet18", "imagenet", None),
        ("bus/case category", "supervised", "resnet18", "scratch", None),
        ("bus/case category", "supervised", "resnet50", "imagenet", None),
        ("bus/case category", "supervised", "resnet101", "imagenet", None),
        ("bus/case category", "finetune", "resnet18", "imagenet", 5),
        ("bus/case category", "finetune", "resnet18", "imagenet", 10),
        ("bus/case category", "maml", "resnet18", "imagenet", 5),
    ]
    assert [row[0] for row in expected[-5:]] == ["bus/malignancy"] + ["pbc/cell class"] * 3 + ["my_cells/cell type"]
    for seed in range(5):
        random.Random(seed).shuffle(records)
        assert [(row.task, row.method, row.backbone, row.weights, row.shots) for row in make_rows(records)] == expected


def test_a_few_shot_interval_is_the_mean_and_its_standard_errors():
    row = only(make_few_shot(auroc=0.7, error=0.01))
    assert row.interval == pytest.approx((0.7 - 0.0196, 0.7 + 0.0196))
    assert (row.paper, row.difference, row.spread) == (None, None, None)


def test_seeds_of_few_shot_runs_are_more_episodes():
    """Independent means: the standard error of the mean of k is the root of the sum of squares over k."""
    row = only(make_few_shot(auroc=0.6, error=0.03), make_few_shot(auroc=0.8, error=0.04, seed=1))
    assert row.auroc == pytest.approx(0.7)
    assert row.half_width("auroc") == pytest.approx(1.96 * math.hypot(0.03, 0.04) / 2)
    assert row.episodes == 200


def test_numbers_in_names_sort_as_numbers():
    assert sorted(["resnet101", "resnet18", "convnext_tiny"], key=natural) == ["convnext_tiny", "resnet18", "resnet101"]


def test_own_tasks_come_last():
    assert task_place("aaa/own") > task_place("skinl_photo/Diagnosis")
