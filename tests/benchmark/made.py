"""Records made by hand: any figures, no training."""

import hashlib
import json

import numpy as np

import medimeta as mm
from medimeta.benchmark.record import Record, Training, write_record
from medimeta.catalogue.schema import TaskTarget


def make_record(task="bus/case category", auroc=0.9, interval=(0.8, 0.95), **changes):
    """A supervised record with these figures."""
    config = {"learning_rate": 0.001, "seed": changes.get("seed", 0)} | changes.pop("config", {})
    fields = {
        "method": "supervised",
        "task": task,
        "backbone": "resnet18",
        "weights": "imagenet",
        "weights_name": "imagenet",
        "seed": 0,
        "config": config,
        "config_sha256": hashlib.sha256(json.dumps(config).encode()).hexdigest(),
        "data": "d" * 64,
        "data_partial": False,
        "samples": {"train": 3, "val": 2, "test": 1234},
        "package": "medimeta 0.1.0",
        "versions": {"python": "3.11.2"},
        "device": "a CPU",
        "seconds": 7.0,
        "images_per_second": 100.0,
        "test": {"auroc": auroc, "auroc_interval": interval, "absent": "skip"},
        "predictions": "any.npz",
    }
    return Record(**fields | changes)


def make_few_shot(shots=5, auroc=0.7, error=0.01, *, method="protonet", accuracy=0.5, episodes=100, **changes):
    """A few-shot record with these figures."""
    test = {
        "auroc": auroc,
        "auroc_interval": (auroc - 1.96 * error, auroc + 1.96 * error),
        "auroc_standard_error": error,
        "accuracy": accuracy,
        "accuracy_standard_error": error,
        "shots": shots,
        "episodes": episodes,
    }
    return make_record(method=method, test=test, config={"shots": shots, "episodes": episodes}, **changes)


def history(epochs):
    """Figures of some epochs; validation is best in the last but one."""
    return tuple(
        {"train_loss": 1 / epoch, "val_loss": 1.1 / epoch, "val_auroc": 0.9 - 0.1 * abs(epoch - epochs + 1) / epochs}
        for epoch in range(1, epochs + 1)
    )


def predicted(task, count, seed):
    """Labels and scores of a task, somewhat better than chance."""
    generator = np.random.default_rng(seed)
    width = len(task.classes)
    if task.target is TaskTarget.BINARY:
        labels = np.arange(count) % 2
        return labels, 1 / (1 + np.exp(-generator.normal(labels * 2 - 1, 1.5)))
    if task.target is TaskTarget.MULTILABEL:
        labels = (generator.random((count, width)) < 0.3).astype(np.int64)
        labels[:2] = [[0], [1]]
        return labels, 1 / (1 + np.exp(-generator.normal(labels * 2 - 1, 1.5)))
    indices = np.arange(count) % width
    raw = np.exp(generator.normal(size=(count, width)) + 1.5 * (indices[:, None] == np.arange(width)))
    return np.array(task.keys)[indices], raw / raw.sum(axis=1, keepdims=True)


def write_run(out, task, *, seed=0, backbone="resnet18", count=60, epochs=6, **changes):
    """Write a supervised run with predictions, evaluated."""
    card = mm.task(task)
    labels, scores = predicted(card, count, [seed, len(backbone)])
    found = mm.evaluate(card, labels, scores, resamples=20, seed=seed).as_dict()
    config = {"learning_rate": 0.001, "backbone": backbone, "seed": seed} | changes.pop("config", {})
    digest = hashlib.sha256(json.dumps(config).encode()).hexdigest()
    name = f"supervised-{backbone}-seed{seed}-{digest[:8]}"
    record = make_record(
        card.id,
        seed=seed,
        backbone=backbone,
        test=found,
        config=config,
        training=Training(
            chosen_by="val_auroc", best_epoch=epochs - 1, epochs=epochs, history=history(epochs), val=found
        ),
        predictions=f"{name}.npz",
        **changes,
    )
    path = out / card.id.replace("/", "__").replace(" ", "_") / f"{name}.json"
    arrays = {"test_labels": labels, "test_scores": scores, "test_indices": np.arange(count)}
    write_record(path, record, arrays)
    return path


def write_few_shot(out, **settings):
    """Write a few-shot run."""
    record = make_few_shot(**settings)
    name = f"{record.method}-{record.shots}-{record.weights_name}-{record.seed}"
    record = record.model_copy(update={"predictions": f"{name}.npz"})
    path = out / record.task.replace("/", "__").replace(" ", "_") / f"{name}.json"
    write_record(path, record, {"any": np.zeros(1)})
    return path
