"""Fixtures for tests and doctests: synthetic originals and what is built from them, made once a session."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import medimeta as mm
from medimeta.catalogue.catalogue import Catalogue, default_catalogue
from medimeta.synthetic.originals import available, write_originals

IMAGES_PER_CLASS = 10


def pytest_configure() -> None:
    """Take Ctrl-C as in the foreground: shells let what runs in the background ignore it, and children inherit that."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def originals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the synthetic originals of every dataset that can be built into one folder."""
    folder = tmp_path_factory.mktemp("originals")
    write_originals(available(), folder, images_per_class=IMAGES_PER_CLASS)
    return folder


@pytest.fixture(scope="session")
def built_root(originals: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build every dataset from the synthetic originals into one root. Copy it before you change it."""
    root = tmp_path_factory.mktemp("root")
    mm.build(available(), source=originals, root=root, workers=1, allow_partial=True)
    return root


@pytest.fixture(scope="session")
def bus_root(built_root: Path) -> Path:
    """Return the root again, by the name that examples in docstrings use."""
    return built_root


@pytest.fixture(scope="session")
def small_root(originals: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build two datasets at 32 pixels, for models that are trained in a moment. Copy it before you change it."""
    root = tmp_path_factory.mktemp("small")
    mm.build(["bus", "pbc"], source=originals, root=root, size=32, workers=1, allow_partial=True)
    return root


@pytest.fixture(scope="session")
def saved_model(built_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Save a model of bus/malignancy that has learned nothing. Copy it before you change it."""
    from medimeta.learning.backbones import make_backbone
    from medimeta.learning.model import TaskModel
    from medimeta.learning.model_card import describe_model
    from medimeta.learning.saved_model import save_model
    from medimeta.store.reader import open_dataset

    backbone = "test_resnet.r160_in1k"
    stored = open_dataset("bus", built_root)
    made = make_backbone(backbone, pretrained=False)
    model = TaskModel(made, stored.info.task("malignancy"), channels=1, size=stored.info.size, normalize="imagenet")
    card = describe_model(
        model,
        [stored],
        backbone=backbone,
        starts_from="none",
        config={"seed": 0},
        config_sha256="0" * 64,
        scores={},
        package="medimeta",
        versions={},
        device="CPU",
    )
    return save_model(tmp_path_factory.mktemp("models") / "bus", model, card)


@pytest.fixture
def change_card(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Change fields of a dataset's card, for one test."""

    def change(dataset: str, **fields: Any) -> None:
        catalogue = default_catalogue()
        cards = [card.model_copy(update=fields) if card.id == dataset else card for card in catalogue.datasets()]
        changed = Catalogue(cards, catalogue.licences)
        for name, value in vars(changed).items():  # in place: whoever asks for the catalogue is given this one
            monkeypatch.setattr(catalogue, name, value)

    return change


@pytest.fixture
def without_recipe(change_card: Callable[..., None]) -> str:
    """Take the recipe from the card of oct, as if this version could not build it; return its id."""
    change_card("oct", recipe=None)
    return "oct"


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Compute on one thread: tiny models gain nothing from more, and lose much where other work has the cores."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def real_originals() -> Path:
    """Return the folder of real originals with their golden digests; skip where it is not."""
    folder = Path(os.environ.get("MEDIMETA_REAL_ORIGINALS") or Path(__file__).parent.parent / "shared" / "real")
    if not (folder / "golden").is_dir():
        pytest.skip("the real originals are not here; set MEDIMETA_REAL_ORIGINALS to their folder")
    return folder


@pytest.fixture(scope="session")
def real_built(real_originals: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return the folder of a dataset that one process has built from its real original, extracted."""
    root = tmp_path_factory.mktemp("real")

    def built(dataset: str) -> Path:
        if not (root / dataset).exists():
            mm.build(dataset, source=real_originals / dataset, root=root, workers=1, allow_partial=True)
        return root / dataset

    return built
