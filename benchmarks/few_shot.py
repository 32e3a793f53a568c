"""The case of few-shot learning: a linear probe on a hundred episodes."""

from __future__ import annotations

from pathlib import Path

from benchmarks.cases import OURS, RELEASED, Case, Comparison, Effort, ours, released
from benchmarks.pace import QUERIES, SHOTS

FROZEN = "frozen"
EPISODES = 100


def few_shot_cases(root: Path, python: Path, effort: Effort) -> tuple[Case, ...]:
    """Lay out the case, for blood cells below `root` and a Python with the released packages."""
    # Episodes of the released path cost the same each: a few tell the rate. Ours share what is computed once.
    episodes = EPISODES if effort.steps > 1 else 3
    return (
        Case(
            name="few-shot-linear-probe",
            unit="episodes/s",
            more_is_better=True,
            rounds=1,
            sides={
                OURS: ours("few_shot", root, episodes),
                RELEASED: released(python, "few_shot", root, "features", effort.steps),
                FROZEN: released(python, "few_shot", root, "frozen", 1),
            },
            comparisons=(
                Comparison("linear probe, 100 episodes", OURS, RELEASED, target=20),
                Comparison("the same, of a classifier with a frozen backbone", OURS, FROZEN),
            ),
            note=f"{EPISODES} episodes of {SHOTS} shots and {QUERIES} queries over the 8 classes of all images, "
            "ResNet-18, on the processor, drawing, loading and scoring included. Ours: `run_few_shot`, which computes "
            "the features of each image once, in bfloat16 where the processor multiplies it. Released: torchcross' "
            "`FewShotMetaDataset` over `MedIMeta`, features of each episode by torchvision's model, and torchcross' "
            "`SimpleClassifier` as the probe on them, 50 steps of Adam. Frozen: that classifier around the backbone, "
            "whose weights are frozen, so that each step computes the features again, as torchcross trains. The "
            "released episodes cost the same each, and a few are measured.",
        ),
    )
