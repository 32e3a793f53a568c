"""A training that is killed goes on after its last finished epoch, and ends with the numbers of one that was not."""

import os
import resource
import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

import medimeta as mm
from medimeta.errors import CheckpointError
from medimeta.learning.config import TrainConfig
from medimeta.learning.train import predict, train

pytestmark = pytest.mark.usefixtures("one_thread")

# With augmentation, batch normalisation and Adam's moments: all that a checkpoint must not lose.
CONFIG = TrainConfig(backbone="test_resnet.r160_in1k", weights="none", batch_size=8, max_epochs=4, patience=3, seed=5)

KILLED = """
import os, signal, sys
import medimeta as mm
import torch
from medimeta.learning.config import TrainConfig
from medimeta.learning.train import train

torch.set_num_threads(1)
root, folder = sys.argv[1:]
config = TrainConfig(backbone="test_resnet.r160_in1k", weights="none", batch_size=8, max_epochs=4, patience=3, seed=5)

def killed(epoch, figures):
    if epoch == 2:
        os.kill(os.getpid(), signal.SIGKILL)

sets = [mm.load("bus/malignancy", root=root, split=split) for split in ("train", "val")]
train(*sets, config, folder=folder, epoch_done=killed)
"""


def splits(root):
    return [mm.load("bus/malignancy", root=root, split=split) for split in ("train", "val")]


@pytest.fixture(scope="module")
def unbroken(small_root):
    return train(*splits(small_root), CONFIG)


def test_a_killed_training_ends_with_the_same_numbers(small_root, unbroken, tmp_path):
    """To the last bit: history, chosen epoch, and scores."""
    command = [sys.executable, "-c", KILLED, small_root, tmp_path / "kept"]
    assert subprocess.run(command).returncode == -signal.SIGKILL
    told = []
    resumed = train(
        *splits(small_root), CONFIG, folder=tmp_path / "kept", epoch_done=lambda epoch, _: told.append(epoch)
    )
    assert resumed.resumed == 2
    assert told == [*range(3, unbroken.epochs + 1)]
    assert resumed.history == unbroken.history
    assert resumed.best_epoch == unbroken.best_epoch
    val_set = splits(small_root)[1]
    assert np.array_equal(predict(resumed.model, val_set, CONFIG), predict(unbroken.model, val_set, CONFIG))
    assert sorted(path.name for path in (tmp_path / "kept").iterdir()) == ["best.pt", "last.pt"]


def test_a_finished_training_is_not_run_again(small_root, unbroken, tmp_path):
    told = []
    for _ in range(2):
        again = train(*splits(small_root), CONFIG, folder=tmp_path, epoch_done=lambda *each: told.append(each))
    assert len(told) == unbroken.epochs
    assert (again.history, again.resumed) == (unbroken.history, unbroken.epochs)
    for name, value in unbroken.model.state_dict().items():
        assert torch.equal(again.model.state_dict()[name], value), name


def test_a_checkpoint_of_another_training_is_refused(small_root, tmp_path):
    """All differences are named, and nothing is written over."""
    short = replace(CONFIG, max_epochs=1)
    train(*splits(small_root), short, folder=tmp_path)
    before = (tmp_path / "last.pt").read_bytes()
    with pytest.raises(CheckpointError) as caught:
        train(*splits(small_root)[:1] * 2, replace(short, seed=6), folder=tmp_path)
    told = str(caught.value)
    assert "seed: the checkpoint has 5, this training 6" in told
    assert "val data: the checkpoint has" in told
    assert "remove this one to begin anew" in told
    assert (tmp_path / "last.pt").read_bytes() == before


def test_a_checkpoint_that_does_not_read_is_refused(small_root, tmp_path):
    (tmp_path / "last.pt").write_bytes(b"torn")
    with pytest.raises(CheckpointError, match=r"last.pt: does not read .* Remove the folder"):
        train(*splits(small_root), CONFIG, folder=tmp_path)


def test_a_checkpoint_runs_no_code(small_root, tmp_path):
    class Wrong:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "ran"),)

    torch.save({"format_version": Wrong()}, tmp_path / "last.pt")
    with pytest.raises(CheckpointError, match="does not read"):
        train(*splits(small_root), CONFIG, folder=tmp_path)
    assert not (tmp_path / "ran").exists()


def test_a_full_disk_is_told_and_the_last_checkpoint_is_kept(small_root, unbroken, tmp_path):
    """After two epochs no file may grow any more; with room again, the training goes on to the same numbers."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    def full(epoch, _):
        if epoch == 2:
            resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))

    try:
        with pytest.raises(CheckpointError) as caught:
            train(*splits(small_root), CONFIG, folder=tmp_path, epoch_done=full)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    told = str(caught.value)
    assert "the checkpoint of epoch 3 cannot be written" in told
    assert "That of epoch 2 is kept: free space" in told
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]
    assert train(*splits(small_root), CONFIG, folder=tmp_path).history == unbroken.history


def test_a_folder_that_cannot_be_is_told(small_root, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match="There is none from before"):
        train(*splits(small_root), CONFIG, folder=tmp_path / "file" / "below")
