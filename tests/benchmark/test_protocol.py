"""The paper's settings and figures are where they belong."""

import pytest

import medimeta as mm
from medimeta.benchmark.paper import paper_auroc
from medimeta.benchmark.protocol import paper_config
from medimeta.learning.augment import Augmentation


@pytest.mark.parametrize(("backbone", "rate"), [("resnet18", 1e-3), ("resnet50", 1e-4), ("convnext_tiny", 1e-4)])
def test_settings_are_the_papers(backbone, rate):
    config = paper_config(backbone, seed=4)
    assert (config.backbone, config.learning_rate, config.seed) == (backbone, rate, 4)
    assert (config.batch_size, config.patience, config.normalize, config.weights) == (64, 10, "imagenet", "imagenet")
    assert config.augmentation == Augmentation(0.25, 0.25, 10, 0.25, 200 / 224)


def test_the_paper_has_a_figure_for_the_primary_task_of_every_dataset_alone():
    for card in mm.datasets():
        for task in card.tasks:
            figures = [paper_auroc(task, backbone) for backbone in ("resnet18", "resnet50")]
            if task.primary:
                assert all(0.5 < figure <= 1 for figure in figures)
            else:
                assert figures == [None, None]


@pytest.mark.parametrize(
    ("task", "resnet18", "resnet50"),
    [
        ("aml/morphological class", 0.991, 0.984),
        ("dr_uwf/dr_level", 0.581, 0.583),
        ("skinl_derm/Diagnosis grouped", 0.829, 0.901),
    ],
)
def test_figures_are_fractions(task, resnet18, resnet50):
    card = mm.dataset(task.partition("/")[0]).primary
    assert paper_auroc(card, "resnet18") == pytest.approx(resnet18)
    assert paper_auroc(card, "resnet50") == pytest.approx(resnet50)


def test_backbones_that_the_paper_does_not_have_have_no_figure():
    assert paper_auroc(mm.dataset("bus").primary, "resnet34") is None
