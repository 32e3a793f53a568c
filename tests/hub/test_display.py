"""How a download is shown: a bar for each dataset on a screen, a line an event in a log."""

import io

import pytest
from rich.console import Console

from medimeta.hub import display as displays
from medimeta.hub.display import DownloadDisplay
from medimeta.hub.telling import Step, Teller

SIZE = 48_000_000


def screen(terminal):
    return Console(file=io.StringIO(), force_terminal=terminal, width=120, highlight=False, markup=False)


def test_a_screen_has_a_bar_for_each_dataset_and_notes_above_it():
    shown = screen(terminal=True)
    with DownloadDisplay(shown) as display:
        for name in ("bus", "pbc"):
            teller = Teller(name, display)
            teller.step("fetching", 0, SIZE)
            teller.step("fetching", SIZE // 2, SIZE)
        teller.note("[red]the connection broke")
        display._bars.refresh()
        text = shown.file.getvalue()
        for told in ("bus: fetching", "pbc: fetching", "24.0/48.0 MB", "pbc: [red]the connection broke"):
            assert told in text
        teller.step("unpacking", 0, SIZE)
        teller.step("done", 1, 1)
        assert [task.description for task in display._bars.tasks] == ["bus: fetching"]


def test_what_lay_there_does_not_count_for_the_rate():
    with DownloadDisplay(screen(terminal=True)) as display:
        display(Step("bus", "fetching", SIZE - 1000, SIZE))
        display(Step("bus", "fetching", SIZE - 500, SIZE))
        [task] = display._bars.tasks
        assert task.completed == SIZE - 500
        assert task.speed is None or task.speed * (task.elapsed or 0) <= 500 * 2


@pytest.mark.parametrize(("seconds", "expected"), [(1e9, 1), (0.0, 3)])
def test_a_log_has_a_line_a_phase_and_few_between(seconds, expected, monkeypatch):
    monkeypatch.setattr(displays, "QUIET_SECONDS", seconds)
    shown = screen(terminal=False)
    with DownloadDisplay(shown) as display:
        teller = Teller("bus", display)
        for done in (0, SIZE // 2, SIZE):
            teller.step("fetching", done, SIZE)
        teller.note("the connection broke")
        teller.step("verifying")
        teller.step("done", 1, 1)
    lines = shown.file.getvalue().splitlines()
    assert lines[0] == "bus: fetching 0.0 kB of 48.0 MB"
    assert len([line for line in lines if line.startswith("bus: fetching")]) == expected
    assert lines[-3:] == ["bus: the connection broke", "bus: verifying", "bus: done"]
