"""The case of learning: a training step, the batch it needs included."""

from __future__ import annotations

from pathlib import Path

from benchmarks.cases import OURS, RELEASED, Case, Comparison, Effort, ours, released
from benchmarks.pace import BATCH_SIZE


def learning_cases(root: Path, python: Path, effort: Effort) -> tuple[Case, ...]:
    """Lay out the case, for blood cells below `root` and a Python with the released packages."""
    return (
        Case(
            name="training-step",
            unit="s/step",
            more_is_better=False,
            rounds=5,
            sides={
                OURS: ours("training", root, effort.steps),
                RELEASED: released(python, "training", root, effort.steps),
            },
            comparisons=(Comparison("training step, ResNet-18", OURS, RELEASED, target=2),),
            note=f"ResNet-18 from scratch, batches of {BATCH_SIZE}, 224x224x3, Adam, cross-entropy, on the processor, "
            "loading and normalising included, without augmentation on either side, so that both do the same work. "
            "Ours: uint8 from our loader, `TaskModel` in channels_last, bfloat16 where the processor multiplies it. "
            "Released: float32 in contiguous memory, torchvision's model, normalised by the dataset's transform.",
        ),
    )
