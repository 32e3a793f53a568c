"""The few-shot methods by name."""

from __future__ import annotations

from medimeta.learning.fewshot.finetune import FineTuning
from medimeta.learning.fewshot.linear_probe import LinearProbe
from medimeta.learning.fewshot.maml import Maml
from medimeta.learning.fewshot.method import Method
from medimeta.learning.fewshot.protonet import ProtoNet

METHODS: dict[str, Method] = {
    "finetune": FineTuning(),
    "linear-probe": LinearProbe(),
    "maml": Maml(),
    "protonet": ProtoNet(),
}
"""Every method that a `FewShotConfig` may name. One of your own is put here under its name."""
