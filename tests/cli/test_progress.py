"""How a grid is shown: a line for each cell that runs, a bar over all; names are shown as they are."""

import io
from types import SimpleNamespace

import pytest
from rich.console import Console

from medimeta.benchmark.methods import Step
from medimeta.benchmark.run import Outcome
from medimeta.cli.progress import GridProgress


@pytest.fixture
def screen():
    return Console(file=io.StringIO(), force_terminal=True, width=120, highlight=False, markup=False)


def cell(name):
    return SimpleNamespace(title=name, name=name)


def record(epochs=None):
    training = None if epochs is None else SimpleNamespace(epochs=epochs)
    return SimpleNamespace(training=training, seconds=3.0, images_per_second=7.0)


def test_each_running_cell_has_a_line_and_brackets_are_shown(screen):
    """Markup would swallow [red], and fail at [/red]."""
    first, second = cell("own/[red]grade[/red], resnet18"), cell("bus/malignancy, resnet18")
    with GridProgress(2, screen) as progress:
        progress.started(first)
        progress.started(second)
        progress.stepped(first, Step(3, 10, "epoch 3, loss 0.5"))
        progress._bars.refresh()
        shown = screen.file.getvalue()
        assert all(
            text in shown for text in ("all cells", "[red]grade[/red]", "epoch 3, loss 0.5", "3/10", "bus/malig")
        )
        progress.ended(Outcome(0, first, record(epochs=4)))
        progress.ended(Outcome(1, second, None, error="[bold] it diverged"))
    ended = screen.file.getvalue()
    assert "[1/2] own/[red]grade[/red], resnet18: 4 epochs, 3 s, 7 images/s" in ended
    assert "[2/2] bus/malignancy, resnet18: failed: [bold] it diverged" in ended


def test_a_log_has_a_line_for_what_ends_and_few_for_steps(capsys):
    quiet = Console(file=io.StringIO(), force_terminal=False)
    one = cell("bus/malignancy")
    with GridProgress(1, quiet) as progress:
        progress.started(one)
        for number in range(1, 101):
            progress.stepped(one, Step(number, 100, f"episode {number}"))
        progress.ended(Outcome(0, one, record(), kept=True))
    assert capsys.readouterr().err.splitlines() == [
        "bus/malignancy: episode 1",
        "bus/malignancy: episode 100",
        "[1/1] bus/malignancy: kept from before",
    ]
