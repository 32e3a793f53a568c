"""Ctrl-C at any moment: a build says once how to go on, leaves no process, and what it leaves is resumable or whole."""

import contextlib
import gc
import os
import random
import signal
import sys
import time
from pathlib import Path

import pytest

import medimeta as mm
from medimeta import _interrupts
from medimeta._interrupts import STOPPED, deliver_held, held_back, let_through
from medimeta.building import assembly, chunks, engine
from medimeta.cli.boundary import run
from medimeta.store import publish

BUILDING = str(Path(engine.__file__).parent)
STORE = str(Path(mm.__file__).parent / "store")
RECIPES = str(Path(mm.__file__).parent / "recipes")


@pytest.fixture(autouse=True)
def python_takes_ctrl_c():
    """Let Python raise KeyboardInterrupt, as it does in the foreground; in the background, shells ignore the signal."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler, "it is still held back"
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def command(bus_tree, root, monkeypatch):
    monkeypatch.setattr(chunks, "MOST_SAMPLES", 4)
    common = ["--size", "16", "--workers", "1", "--allow-partial"]
    return ["build", "bus", "--source", str(bus_tree), "--root", str(root), *common]


@pytest.fixture
def whole(build, bus_tree, contents, tmp_path):
    """The bytes of an unbroken build."""
    build("bus", bus_tree, root=tmp_path / "unbroken")
    return contents(tmp_path / "unbroken" / "bus")


def press():
    signal.raise_signal(signal.SIGINT)


# ruff: noqa: PT012 - a block is what is tested

# Holding back


def test_it_waits_until_the_block_is_over_and_then_comes_once():
    steps = []
    with pytest.raises(KeyboardInterrupt), held_back():
        press()
        press()
        steps.append("end")
    assert steps == ["end"]


def test_a_block_within_a_block_does_not_let_it_out():
    steps = []
    with pytest.raises(KeyboardInterrupt), held_back():
        with held_back():
            press()
        steps.append("after the inner")
    assert steps == ["after the inner"]


@pytest.mark.parametrize("early", [True, False])
def test_it_comes_at_once_where_it_is_let_through_also_if_it_came_before(early):
    steps = []
    with pytest.raises(KeyboardInterrupt), held_back():
        if early:
            press()
        steps.append("held")
        with let_through():
            if not early:
                press()
            steps.append("through")
    assert steps == ["held"]


def test_after_it_was_let_through_it_is_held_back_again():
    steps = []
    with pytest.raises(KeyboardInterrupt), held_back():
        with let_through():
            pass
        press()
        steps.append("held")
        deliver_held()
        steps.append("delivered")
    assert steps == ["held"]


def test_it_may_be_forgotten_and_an_interrupt_that_says_something_is_not_replaced():
    with held_back() as ctrl_c:
        press()
        ctrl_c.forget()
    with pytest.raises(KeyboardInterrupt, match="go on"), held_back():
        press()
        raise KeyboardInterrupt("go on")


def test_where_nothing_is_held_back_nothing_is_changed():
    with let_through():
        deliver_held()
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    with held_back(), let_through():
        press()
    assert signal.signal(signal.SIGINT, before) is signal.SIG_IGN


@pytest.mark.parametrize("before", [signal.default_int_handler, signal.SIG_IGN], ids=["foreground", "background"])
def test_sigterm_waits_as_ctrl_c_does_and_is_told_as_what_it_was(monkeypatch, before):
    monkeypatch.setattr(_interrupts, "_last", signal.SIGINT)
    term, interrupt = signal.getsignal(signal.SIGTERM), signal.signal(signal.SIGINT, before)
    steps = []
    try:
        _interrupts.take_sigterm()
        with pytest.raises(KeyboardInterrupt), held_back():
            signal.raise_signal(signal.SIGTERM)
            steps.append("held back")
        with pytest.raises(KeyboardInterrupt), held_back(), let_through():
            signal.raise_signal(signal.SIGTERM)
            steps.append("never")
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
        if before is signal.SIG_IGN:
            press()  # is ignored still
    finally:
        signal.signal(signal.SIGTERM, term)
        signal.signal(signal.SIGINT, interrupt)
    assert steps == ["held back"]
    assert _interrupts.exit_code() == 143
    assert _interrupts.as_it_came(STOPPED).startswith("ended by SIGTERM. What is finished is kept")


# Known moments


def before_call(monkeypatch, owner, name, at=0):
    """Press Ctrl-C before a function is called for the so-manieth time."""
    real, calls = getattr(owner, name), [0]

    def call(*arguments, **options):
        calls[0] += 1
        if calls[0] == at + 1:
            press()
        return real(*arguments, **options)

    monkeypatch.setattr(owner, name, call)


@pytest.mark.parametrize(
    ("owner", "name", "at"),
    [
        (engine, "find_passes", 0),
        (engine, "refuse_existing", 0),
        (engine, "open_workers", 0),
        (engine, "make_plans", 0),
        (engine, "check_free", 0),
        (engine, "Assembly", 0),
        (engine, "render_chunk", 0),
        (engine, "render_chunk", 2),
        (assembly.Assembly, "place", 1),
        (engine, "check_unchanged", 0),
        (assembly.Assembly, "table", 0),
        (engine, "verify_folder", 0),
    ],
    ids=lambda value: value if isinstance(value, str | int) else "",
)
def test_until_it_is_verified_nothing_is_published_and_the_same_command_goes_on(
    command, whole, contents, root, capsys, monkeypatch, owner, name, at
):
    with monkeypatch.context() as patched:
        before_call(patched, owner, name, at)
        assert run(command) == 130
    output = capsys.readouterr()
    assert output.out == ""
    assert [line for line in output.err.splitlines() if "Ctrl-C" in line] == [STOPPED]
    assert "Traceback" not in output.err
    assert [path.name for path in root.glob("*")] in ([], [".bus.partial"])
    assert run(command) == 0
    assert contents(root / "bus") == whole
    assert [path.name for path in root.iterdir()] == ["bus"]


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize(("owner", "name", "at"), [(engine, "publish", 0), (Path, "rename", 0), (publish, "remove", 0)])
def test_once_it_is_published_it_is_all_there_and_that_is_said(
    command, build, bus_tree, whole, contents, root, capsys, monkeypatch, owner, name, at, overwrite
):
    if overwrite:
        build("bus", bus_tree, size=24)
    with monkeypatch.context() as patched:
        before_call(patched, owner, name, at + (owner is publish and overwrite))
        assert run([*command, "--overwrite"]) == 130
    output = capsys.readouterr()
    assert "stopped by Ctrl-C, but bus is built already." in output.err.splitlines()
    assert contents(root / "bus") == whole
    assert [path.name for path in root.iterdir()] == ["bus"]


def test_what_is_built_of_several_is_said_with_what_is_left(bus_tree, pbc_tree, root, capsys, monkeypatch, finished):
    monkeypatch.setattr(chunks, "MOST_SAMPLES", 1)
    both = bus_tree.parent
    before_call(monkeypatch, engine, "render_chunk", 19)
    rest = ["--source", str(both), "--root", str(root), "--size", "16", "--workers", "1", "--allow-partial"]
    assert run(["build", "bus", "pbc", *rest]) == 130
    said = "stopped by Ctrl-C. bus is built. Build pbc alone to go on: what is finished is kept."
    assert said in capsys.readouterr().err.splitlines()
    assert len(finished("pbc")) == 4
    assert run(["build", "pbc", *rest]) == 0
    assert sorted(path.name for path in root.iterdir()) == ["bus", "pbc"]


def test_a_report_that_is_printed_is_not_taken_back(command, capsys, monkeypatch):
    real = engine.BuildReport.text

    def text(report):
        press()
        return real(report)

    monkeypatch.setattr(engine.BuildReport, "text", text)
    assert run(command) == 0
    assert "Ctrl-C" not in capsys.readouterr().err


# Any moment


class Tracer:
    """Counts the lines of building, store and recipes that are run, and presses Ctrl-C at one of them."""

    def __init__(self, at=None):
        self.count, self.at = 0, at

    def __call__(self, frame, event, argument):
        if not frame.f_code.co_filename.startswith((BUILDING, STORE, RECIPES, _interrupts.__file__)):
            return None
        if event == "line":
            self.count += 1
            if self.count == self.at:
                press()
        return self

    def run(self, command):
        before = sys.gettrace()
        sys.settrace(self)
        try:
            return run(command)
        finally:
            sys.settrace(before)


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")  # an interrupt may come before a file's block
def test_at_any_line_of_a_build_it_leaves_what_can_be_gone_on_with_or_is_whole(
    command, whole, contents, root, capsys, tmp_path
):
    counted = Tracer()
    assert counted.run([*command[:5], str(tmp_path / "counted"), *command[6:]]) == 0
    capsys.readouterr()
    moments = random.Random(5).sample(range(1, counted.count), 12)
    for at in [1, *sorted(moments), counted.count - 3]:
        code = Tracer(at).run(command)
        output = capsys.readouterr()
        assert code in (0, 130), at
        stops = [line for line in output.err.splitlines() if "Ctrl-C" in line]
        assert len(stops) == (code == 130), at
        assert "Traceback" not in output.err, at
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler, at
        names = [path.name for path in root.glob("*")]
        assert names in ([], [".bus.partial"], ["bus"]), at
        if names == ["bus"]:
            assert contents(root / "bus") == whole, at
            mm.verify("bus", root=root).raise_for_problems()
            for path in sorted((root / "bus").rglob("*"), reverse=True):
                path.rmdir() if path.is_dir() else path.unlink()
            (root / "bus").rmdir()
    gc.collect()
    assert run(command) == 0
    assert contents(root / "bus") == whole


STARTED = """
import pathlib, sys
from medimeta.__main__ import main
pathlib.Path(sys.argv.pop(1)).touch()
main()
"""


def test_at_ten_moments_with_two_workers_no_process_stays_and_the_rest_is_built(
    start, build, bus_tree, root, contents, tmp_path, whole, until
):
    began = tmp_path / "began"
    place = root
    seconds, moments = None, random.Random(11)
    for number in range(11):
        child = start("bus", bus_tree, place=place if seconds else tmp_path / "timed", script=(STARTED, began))
        until(began.exists)
        begun = time.monotonic()
        if seconds is not None:
            time.sleep(0 if number == 1 else moments.uniform(0, seconds))
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.main.pid, signal.SIGINT)  # as a terminal does: the workers get it too
        code, _, err = child.end()
        began.unlink()
        seconds = seconds or time.monotonic() - begun
        assert code in ((0, 130) if number else (0,)), err
        assert "Traceback" not in err
        assert err.count("Ctrl-C") == (code == 130), err
        until(lambda child=child: not child.alive(), 10)
        names = [path.name for path in root.glob("*")]
        assert names in ([], [".bus.partial"], ["bus"])
        if names == ["bus"]:
            assert contents(root / "bus") == whole
            (root / "bus").rename(tmp_path / f"built {number}")
    build("bus", bus_tree)
    assert contents(root / "bus") == whole
