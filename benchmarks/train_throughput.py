"""The cases of training: against the released stack, against data in memory, and on a GPU."""

from __future__ import annotations

from pathlib import Path

from benchmarks.cases import OURS, RELEASED, Case, Comparison, Effort, ours, released
from benchmarks.pace import BATCH_SIZE

LOADING_SHARE = 0.05
GPU_STEPS = 50  # for each step on the processor: one takes milliseconds
MEMORY = "in memory"


def training_cases(root: Path, python: Path, effort: Effort) -> tuple[Case, ...]:
    """Lay out the cases, for blood cells below `root` and a Python with the released packages."""
    steps, gpu_steps = effort.steps, GPU_STEPS * effort.steps
    network = f"ResNet-18 from scratch, batches of {BATCH_SIZE}, 224x224x3, Adam, cross-entropy"
    in_loader = ours("training", root, steps, "loader", "cpu")
    return (
        Case(
            name="training",
            unit="images/s",
            more_is_better=True,
            rounds=3,
            sides={OURS: ours("fitting", root, steps), RELEASED: released(python, "fitting", root, steps)},
            comparisons=(Comparison("training, ResNet-18, whole stack", OURS, RELEASED, target=2.5),),
            note=f"{network}, on the processor, no augmentation on either side: an epoch of {steps} steps, after one "
            "that warms up, with 16 images for validation and a checkpoint of the best weights. Ours: `train` of "
            "`medimeta.learning.train`, bfloat16 where the processor multiplies it. Released: Lightning's `Trainer`, "
            "torchcross' `SimpleClassifier` around torchvision's model, `DataLoader` over `MedIMeta`, normalised by "
            "the dataset's transform. In float32 either side computes the same convolutions with the same library, "
            "which take four fifths of a step: without bfloat16 in hardware the ratio stays near 1.",
        ),
        Case(
            name="training-step",
            unit="s/step",
            more_is_better=False,
            rounds=5,
            sides={
                OURS: in_loader,
                RELEASED: released(python, "training", root, steps),
                MEMORY: ours("training", root, steps, "memory", "cpu"),
            },
            comparisons=(
                Comparison("training step, ResNet-18", OURS, RELEASED, target=2),
                Comparison("the same, of a step on a batch in memory", OURS, MEMORY, target=1 - LOADING_SHARE),
            ),
            note=f"{network}, on the processor, loading and normalising included, without augmentation on either side, "
            "so that both do the same work. Ours: uint8 from our loader, `TaskModel` in channels_last, bfloat16 where "
            "the processor multiplies it. Released: float32 in contiguous memory, torchvision's model, normalised by "
            "the dataset's transform, no Lightning. In memory: ours, on one batch again and again; where loading "
            "takes less than 5 % of a step, the ratio is above 0.95.",
        ),
        Case(
            name="training-gpu",
            unit="s/step",
            more_is_better=False,
            rounds=5,
            sides={
                OURS: ours("training", root, gpu_steps, "loader", "cuda", gpu=True),
                MEMORY: ours("training", root, gpu_steps, "memory", "cuda", gpu=True),
            },
            comparisons=(Comparison("training step on a GPU, of one on tensors in its memory", OURS, MEMORY, 0.95),),
            note=f"{network}, on the first GPU, bfloat16, channels_last, compiled, augmented on the GPU. Ours: uint8 "
            "from our loader, from the page cache. In memory: a batch of noise in the memory of the GPU, again and "
            "again. Empty where no GPU was at hand.",
        ),
    )
