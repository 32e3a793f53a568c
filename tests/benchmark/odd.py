"""A method that ends in the ways in which others do, by what the seed says; in a module, as workers import it."""

import os
import signal
import time
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch

from medimeta.benchmark.grid import grid_from
from medimeta.benchmark.methods import Result, Step
from medimeta.benchmark.plan import plan_grid
from medimeta.errors import MedimetaError

FINE, REFUSED, FAULTY, DEADLY, ENDLESS = range(5)


@dataclass(frozen=True)
class Settings:
    backbone: str
    weights: str
    seed: int

    def as_dict(self):
        return asdict(self)

    def digest(self):
        return sha256(repr(self).encode()).hexdigest()


@dataclass(frozen=True)
class Odd:
    """It notes the seed of every cell that it begins."""

    notes: str
    few_shot = False

    def config(self, choice, grid):
        return Settings(choice.backbone, choice.weights, choice.seed)

    def check(self, cell):
        """There is nothing to see."""

    def run(self, cell, surroundings):
        seed = cell.config.seed
        with Path(self.notes).open("a+") as notes:
            notes.write(f"{seed}\n")
            notes.seek(0)
            tries = notes.read().split().count(str(seed))
        if seed == REFUSED:
            raise MedimetaError("[red] it diverged")
        if seed == FAULTY:
            raise ZeroDivisionError("a fault of its own")
        if seed == DEADLY and tries == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        while seed == ENDLESS:
            time.sleep(0.01)
        surroundings.told(Step(1, 2, "half of it"))
        test = {"auroc": 0.5, "auroc_interval": None, "threads": torch.get_num_threads()}
        return Result(test, {"test_scores": np.zeros(1)}, 1.0, 1.0)


def plan_odd(root, notes, seeds):
    """The plan of a grid of this method, and the methods that it names."""
    known = {"odd": Odd(str(notes))}
    grid = {"tasks": "bus", "backbones": "resnet18", "weights": "none", "methods": "odd", "seeds": seeds}
    return plan_grid(grid_from(grid), root, known), known


class Notes:
    """Notes what it is told."""

    def __init__(self):
        self.lines = []

    def started(self, what):
        self.lines.append((what.title, "started"))

    def stepped(self, what, step):
        self.lines.append((what.title, *step[:2]))
