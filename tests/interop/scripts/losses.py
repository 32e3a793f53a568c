"""The losses of torchcross' classifier on given batches from given weights, as JSON. Arguments: ROOT FILE...

A FILE, named after its task, is an npz with the weights by name and, of each step, the stored labels and the images,
from 0 to 255 and as they were normalised. What is learned from are the latter: 20 steps make thousands of a rounding.
They are compared with ImageNet's statistics, by the formula alone.
"""

import json
import logging
import sys
import warnings
from pathlib import Path

import lightning.pytorch as pl
import numpy as np
import torch
from network import backbone
from torch.utils.data import DataLoader
from torchcross.models.lightning import SimpleClassifier

import medimeta as mm
from medimeta.interop.items import released_labels
from medimeta.interop.torchcross import task_description

MEAN = torch.tensor((0.485, 0.456, 0.406)).view(1, 3, 1, 1)
STD = torch.tensor((0.229, 0.224, 0.225)).view(1, 3, 1, 1)


class Adam(torch.optim.Adam):
    """Adam in the implementation that ours takes: the others round otherwise, and 20 steps make thousands of that."""

    def __init__(self, parameters):
        super().__init__(parameters, fused=True)


class Losses(pl.Callback):
    """Keeps the loss of every step."""

    def __init__(self):
        self.values = []

    def on_train_batch_end(self, trainer, module, outputs, *_):
        self.values.append(float(trainer.callback_metrics["loss/train"]))


def losses(stored, card, saved):
    """Train on the batches in their order, and return the losses."""
    steps = range(sum(name.startswith("images") for name in saved.files))
    images = [torch.from_numpy(saved[f"images{step}"]) for step in steps]
    inputs = [torch.from_numpy(saved[f"inputs{step}"]) for step in steps]
    for before, after in zip(images, inputs, strict=True):
        torch.testing.assert_close(after, ((before / 255 - MEAN) / STD), rtol=1e-5, atol=1e-5)
    labels = [torch.from_numpy(released_labels(card, saved[f"labels{step}"])) for step in steps]
    batches = [
        (part.contiguous(memory_format=torch.channels_last), label) for part, label in zip(inputs, labels, strict=True)
    ]
    model = SimpleClassifier(backbone(), 32, task_description(stored.info, card), Adam)
    for part in ("backbone", "head"):
        state = {name.removeprefix(f"{part}."): saved[name] for name in saved.files if name.startswith(f"{part}.")}
        getattr(model, part).load_state_dict({name: torch.from_numpy(value) for name, value in state.items()})
    # As ours: another layout sums in another order.
    model.to(memory_format=torch.channels_last)
    kept = Losses()
    trainer = pl.Trainer(
        max_steps=len(batches),
        accelerator="cpu",
        callbacks=[kept],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(model, DataLoader(batches, batch_size=None))
    return kept.values


def main(root, *files):
    """Print the losses of each file."""
    found = {}
    for file in map(Path, files):
        ds = mm.load(file.stem.replace("--", "/"), root)
        found[file.stem.replace("--", "/")] = losses(ds.stored, ds.task, np.load(file, allow_pickle=False))
    print(json.dumps(found))


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    torch.set_num_threads(1)
    main(*sys.argv[1:])
