"""Processes that train together do what one does, start wherever training is asked for, and end together."""

import re
import subprocess
import sys

import numpy as np
import pytest

import medimeta as mm
from medimeta.errors import UsageError
from medimeta.learning.augment import Augmentation
from medimeta.learning.config import TrainConfig
from medimeta.learning.metrics import macro_auroc
from medimeta.learning.train import predict, train
from medimeta.learning.training.processes import Group, first_rank, group_of

pytestmark = pytest.mark.usefixtures("one_thread")

STILL = Augmentation(horizontal_flip=0, vertical_flip=0, rotation=0, crop=0)
# Without batch normalisation, whose statistics are those of one process's images.
CONFIG = TrainConfig(
    backbone="test_vit.r160_in1k", weights="none", batch_size=8, max_epochs=2, augmentation=STILL, normalize="half"
)


def splits(root, *names):
    return [mm.load("pbc/cell class", root=root, split=split) for split in names or ("train", "val")]


def test_two_processes_end_where_one_does(small_root):
    """Both see the same batches, of which each takes half, so that averaged gradients are those of one process.

    The validation split has an odd number of batches, and the AUROC is that of the whole split.
    """
    train_set, val_set = splits(small_root)
    whole = train_set.subset(np.arange(len(train_set) // 8 * 8))  # two leave out a batch that is not full
    told = []
    one = train(whole, val_set, CONFIG)
    two = train(whole, val_set, CONFIG, devices=2, accelerator="cpu", epoch_done=lambda *each: told.append(each))
    for first, second in zip(one.history, two.history, strict=True):
        assert second == pytest.approx(first, rel=1e-3)
    assert [epoch for epoch, _ in told] == [1, 2]
    scores = predict(two.model, val_set, CONFIG)
    np.testing.assert_allclose(scores, predict(one.model, val_set, CONFIG), atol=2e-3)
    best = max(epoch["val_auroc"] for epoch in two.history)
    assert macro_auroc(val_set.task, val_set.labels, scores) == pytest.approx(best, abs=1e-6)


@pytest.mark.parametrize(
    ("config", "devices", "message"),
    [
        ({"batch_size": 9}, 2, "batches of 9 cannot be shared evenly by 2 processes"),
        ({"batch_size": 600}, 300, "training images are too few for 300 processes"),
    ],
)
def test_shares_that_cannot_be_are_told(small_root, config, devices, message):
    with pytest.raises(UsageError, match=message):
        train(*splits(small_root), CONFIG.changed(**config), devices=devices, accelerator="cpu")


def test_processes_of_torchrun_are_known(monkeypatch):
    env = {"RANK": 3, "WORLD_SIZE": 4, "LOCAL_RANK": 1, "LOCAL_WORLD_SIZE": 2, "MASTER_ADDR": "node0", "MASTER_PORT": 9}
    for name, value in env.items():
        monkeypatch.setenv(name, str(value))
    group = Group(devices=2, nodes=2, node=1, local_rank=1, address="node0", port=9)
    assert group_of("auto", accelerator="cpu") == group == group_of(2, 2, accelerator="cpu")
    assert (group.share.rank, group.share.processes) == (3, 4)
    assert group_of(1, accelerator="cpu") == Group()
    assert not first_rank()
    with pytest.raises(UsageError, match=r"3 devices on each of 1 nodes were asked for, but 2 processes"):
        group_of(3, accelerator="cpu")


def test_processes_of_slurm_are_known(monkeypatch):
    env = {"NTASKS": 4, "NNODES": 2, "PROCID": 2, "LOCALID": 0, "NODEID": 1, "NODELIST": "n[1-2]", "JOB_ID": "77"}
    for name, value in env.items():
        monkeypatch.setenv(f"SLURM_{name}", str(value))
    group = group_of(2, 2, accelerator="cpu")
    assert (group.devices, group.nodes, group.node, group.local_rank, group.address) == (2, 2, 1, 0, "n1")
    assert group.port == 15077
    assert not first_rank()


def test_nodes_that_nothing_connects_are_told():
    with pytest.raises(UsageError, match=re.escape("start the command with srun, with torchrun --nnodes 2")):
        group_of(1, 2, accelerator="cpu")


def test_torchrun_trains_with_the_processes_it_has_started(small_root, tmp_path):
    """Both come to the same end, and write it where they are told."""
    script = tmp_path / "script.py"
    script.write_text(
        "import sys, os, json, torch\n"
        "import medimeta as mm\n"
        "from medimeta.learning.config import TrainConfig\n"
        "from medimeta.learning.train import train, predict\n"
        "sets = [mm.load('pbc/cell class', root=sys.argv[1], split=split) for split in ('train', 'val')]\n"
        "config = TrainConfig(backbone='test_resnet.r160_in1k', weights='none', batch_size=8, max_epochs=1)\n"
        "trained = train(*sets, config, accelerator='cpu')\n"
        "scores = predict(trained.model, sets[1], config)\n"
        "found = [len(scores), float(scores.sum()), trained.history]\n"
        "open(os.path.join(sys.argv[2], os.environ['RANK']), 'w').write(json.dumps(found))\n"
    )
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", script]
    done = subprocess.run([*map(str, command), str(small_root), str(tmp_path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert (tmp_path / "0").read_text() == (tmp_path / "1").read_text()
    assert "val_auroc" in (tmp_path / "0").read_text()
