"""A training step and a few-shot episode of each task with torchcross, as JSON. Arguments: WAY ROOT TASK...

WAY is ``adapter`` (`task_source`), ``class`` (our `MedIMeta`) or ``released`` (the released `MedIMeta`).
"""

import json
import logging
import random
import sys
import warnings

import lightning.pytorch as pl
import numpy as np
import torch
from network import backbone
from torch.utils.data import DataLoader
from torchcross.data import BatchedTaskSource, TaskSource
from torchcross.data.metadataset import FewShotMetaDataset
from torchcross.models.lightning import SimpleClassifier
from torchcross.utils.collate_fn import stack

SHOTS, QUERIES, BATCH = 2, 3, 16


def trained(samples):
    """Return the loss of one step of training, and how many of how many weights it changed."""
    torch.manual_seed(0)
    model = SimpleClassifier(backbone(), 32, samples.task_description, torch.optim.Adam)
    before = [weight.detach().clone() for weight in model.parameters()]
    trainer = pl.Trainer(
        max_steps=1,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    batches = BatchedTaskSource(samples, BATCH, shuffle=True, collate_fn=stack)
    trainer.fit(model, DataLoader(batches, batch_size=None))
    changed = sum(not torch.equal(old, new) for old, new in zip(before, model.parameters(), strict=True))
    return float(trainer.callback_metrics["loss/train"]), changed, len(before)


def episode(samples):
    """Return an episode's sizes, labels and classes, and the loss of a fresh model on its support set."""
    random.seed(0)
    np.random.seed(0)
    task = next(
        iter(
            FewShotMetaDataset(
                samples,
                collate_fn=stack,
                n_support_samples_per_class=SHOTS,
                n_query_samples_per_class=QUERIES,
                filter_classes_min_samples=SHOTS + QUERIES,
                length=1,
            )
        )
    )
    torch.manual_seed(0)
    model = SimpleClassifier(backbone(), 32, task.description, torch.optim.Adam)
    loss = model.do_step(task.support, "train")
    return {
        "support": len(task.support[1]),
        "query": len(task.query[1]),
        "shape": list(task.support[0].shape[1:]),
        "pixels": [float(task.support[0].double().sum()), float(task.query[0].double().sum())],
        "labels": [task.support[1].tolist(), task.query[1].tolist()],
        "classes": task.description.classes,
        "description": repr(task.description),
        "loss": float(loss),
    }


def main(way, root, *names):
    """Print figures of each task."""
    found = {}
    for name in names:
        if way == "adapter":
            import medimeta as mm
            from medimeta.interop.torchcross import task_source

            samples = task_source(mm.load(name, root))
        else:
            if way == "class":
                from medimeta.interop.released import MedIMeta
            else:
                from medimeta import MedIMeta
            samples = MedIMeta(root, *name.split("/"))
        random.seed(0)
        np.random.seed(0)
        torch.manual_seed(0)
        loss, changed, weights = trained(samples)
        plain = next(iter(DataLoader(samples, batch_size=4, num_workers=0 if way == "released" else 1)))
        found[name] = {
            "loss": loss,
            "changed": changed,
            "weights": weights,
            "episode": episode(samples),
            "task source": isinstance(samples, TaskSource),
            "batched": hasattr(samples, "__getitems__"),
            "batch": [[str(part.dtype), list(part.shape)] for part in plain],
            "pixels": float(plain[0].double().sum()),
        }
    print(json.dumps(found))


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    warnings.filterwarnings("error", message=".*not writable")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    main(*sys.argv[1:])
