"""A Lightning trainer gets the batches of each split."""

import subprocess
import sys

import lightning
import pytest
import torch

import medimeta as mm
from medimeta.errors import UnknownNameError, UsageError
from medimeta.learning.train import quiet

pytestmark = pytest.mark.usefixtures("one_thread")


class Recorder(lightning.LightningModule):
    """Learns next to nothing, and keeps what it was given."""

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.LazyLinear(1)
        self.seen = {}

    def _step(self, part, batch):
        images, labels = batch
        self.seen.setdefault(part, []).append((images.clone(), labels.clone()))
        return self.layer(images.flatten(1)[:, :5]).square().mean()

    def training_step(self, batch, _):
        return self._step("train", batch)

    def validation_step(self, batch, _):
        self._step("val", batch)

    def test_step(self, batch, batch_idx):
        self._step("test", batch)

    def predict_step(self, batch, _):
        return self._step("predict", batch)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 1e-9)


def run(data):
    options = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "max_epochs": 2}
    with quiet():
        trainer = lightning.Trainer(accelerator="cpu", num_sanity_val_steps=0, enable_model_summary=False, **options)
        module = Recorder()
        trainer.fit(module, datamodule=data)
        trainer.test(module, datamodule=data, verbose=False)
        trainer.predict(module, datamodule=data)
    return module.seen


def test_each_part_gets_its_split(built_root):
    seen = run(mm.DataModule("bus/case category", built_root, batch_size=8, seed=3, rgb=True))
    for part, split in (("val", "val"), ("test", "test"), ("predict", "test")):
        dataset = mm.load("bus/case category", root=built_root, split=split)
        labels = torch.cat([labels for _, labels in seen[part]]).tolist()
        assert labels == dataset.labels.tolist() * (2 if part == "val" else 1)
    images, _ = seen["test"][0]
    expected, _ = next(iter(mm.loader(dataset, 8, rgb=True)))
    assert torch.equal(images, expected)
    train = mm.load("bus/case category", root=built_root, split="train")
    count = -(-len(train) // 8)
    epochs = [
        torch.cat([labels for _, labels in part]).tolist() for part in (seen["train"][:count], seen["train"][count:])
    ]
    assert sorted(epochs[0]) == sorted(epochs[1]) == sorted(train.labels.tolist())
    assert epochs[0] != epochs[1]
    loader = mm.loader(train, 8, shuffle=True, seed=3)
    assert epochs == [torch.cat([labels for _, labels in loader]).tolist() for _ in range(2)]


def test_what_predict_gets_and_what_is_dropped_can_be_chosen(built_root):
    data = mm.DataModule("bus", built_root, batch_size=4, normalize=None, drop_last=True, predict_split="val")
    images, labels = next(iter(data.predict_dataloader()))
    assert images.dtype is torch.uint8
    assert torch.equal(labels["malignancy"], torch.tensor(mm.load("bus/malignancy", built_root, "val").labels[:4]))
    assert {len(images) for images, _ in data.train_dataloader()} == {4}
    assert len(data.dataset("test")) == sum(len(images) for images, _ in data.test_dataloader())
    assert data.task is None


def test_wrong_use_is_told(built_root, tmp_path):
    with pytest.raises(UnknownNameError, match="unknown split 'valid'"):
        mm.DataModule("bus", built_root, predict_split="valid")
    with pytest.raises(UsageError, match="task must be a name"):
        mm.DataModule(3, built_root)
    with pytest.raises(UsageError):
        mm.DataModule("bus", built_root, batch_size=0).train_dataloader()


def test_a_split_without_samples_is_told(own_bus):
    (own_bus / "bus" / "splits" / "val.txt").write_text("")
    data = mm.DataModule("bus/malignancy", own_bus, batch_size=4)
    assert len(data.train_dataloader())
    with pytest.raises(UsageError, match="bus/malignancy: the val split has no samples"):
        data.val_dataloader()


def test_without_lightning_it_says_what_to_install():
    code = """
import sys
sys.modules['lightning'] = None
import medimeta as mm
try: mm.DataModule
except mm.MedimetaError as error: print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    expected = "this needs lightning, which is not installed. Install it with: pip install 'medimeta[train]'\n"
    assert done.stdout == expected, done.stderr
