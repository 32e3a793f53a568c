"""Small images and one thread: tiny models gain nothing from more, and lose much where other work has the cores."""

import pytest
import torch

import medimeta as mm
from medimeta.synthetic.originals import available


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def small_root(originals, tmp_path_factory):
    """A root with every dataset at 32 pixels. Do not change it: copy it first."""
    root = tmp_path_factory.mktemp("small")
    mm.build(available(), source=originals, root=root, size=32, workers=1, allow_partial=True)
    return root
