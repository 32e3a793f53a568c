"""Processes end together: one that dies takes the others with it, and says what it died of."""

import os
import signal
import subprocess
import time

import pytest

from medimeta.errors import TrainingProcessError, UsageError
from medimeta.learning.training.launch import launch
from medimeta.learning.training.processes import Group


def _slow_or_dead(group, told):
    """What two processes do of which the second dies, and the first would wait for it for ever."""
    if group.local_rank == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(600)


def _refused(group, told):
    """The first misses the second, which knows why."""
    if group.local_rank == 1:
        raise UsageError("this is why.")
    raise RuntimeError("connection closed by peer")


def test_a_process_that_dies_ends_the_others():
    begun = time.monotonic()
    with pytest.raises(TrainingProcessError, match=r"process 1 of the training was ended by SIGKILL \(out of memory"):
        launch(_slow_or_dead, Group(devices=2, local_rank=None), lambda *_: None)
    assert time.monotonic() - begun < 100
    children = subprocess.run(["ps", "--ppid", str(os.getpid()), "-o", "cmd"], capture_output=True, text=True).stdout
    assert "medimeta-rank" not in children


def test_the_error_that_was_foreseen_is_told():
    with pytest.raises(UsageError, match="this is why"):
        launch(_refused, Group(devices=2, local_rank=None), lambda *_: None)
