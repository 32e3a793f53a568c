"""A file comes to the disk while it is written, and what goes wrong there is told."""

import errno
import os
import threading

import numpy as np
import pytest

import medimeta as mm
from medimeta.errors import StoreError
from medimeta.store import flushing
from medimeta.store.flushing import Flusher
from medimeta.store.writer import DatasetWriter


@pytest.fixture
def small_steps(monkeypatch):
    monkeypatch.setattr(flushing, "STEP", 100)


@pytest.fixture
def flushes(monkeypatch):
    """The threads that flushed, in turn; each flush waits for leave."""
    threads, leave = [], threading.Event()

    def fsync(_):
        threads.append(threading.current_thread())
        leave.wait(10)

    monkeypatch.setattr(os, "fsync", fsync)
    threads_and_leave = (threads, leave)
    yield threads_and_leave
    leave.set()


def test_one_flush_at_a_time_runs_beside_the_writing(small_steps, flushes):
    threads, leave = flushes
    flusher = Flusher(0)
    for _ in range(50):  # 500 bytes: five steps, and the first flush is not done yet
        flusher.written(10)
    leave.set()
    flusher.finish()
    flusher.close()
    assert len(threads) == 2
    assert threads[0] is not threading.main_thread()
    assert threads[1] is threading.main_thread()


def test_little_is_flushed_at_the_end_alone(flushes):
    threads, leave = flushes
    leave.set()
    flusher = Flusher(0)
    flusher.written(10)
    flusher.finish()
    flusher.close()
    assert threads == [threading.main_thread()]


@pytest.fixture
def disk_that_fails_once(monkeypatch):
    """A system that tells of a failed write once, as Linux does, and of nothing afterwards."""
    failures = [OSError(errno.EIO, "Input/output error")]

    def fsync(_):
        if failures:
            raise failures.pop()

    monkeypatch.setattr(os, "fsync", fsync)


@pytest.fixture
def writer(tmp_path):
    with DatasetWriter(tmp_path / "bus", mm.dataset("bus"), 3, 16) as writer:
        yield writer


IMAGE = np.zeros((16, 16), np.uint8)


def test_a_flush_that_failed_in_the_background_is_told_at_the_end(small_steps, disk_that_fails_once, writer):
    writer.write_images([(0, IMAGE)])
    with pytest.raises(StoreError, match=r"images.hdf5: cannot be written \(Input/output error\)"):
        writer.finish()


def test_a_flush_that_failed_in_the_background_is_told_by_a_later_write(small_steps, disk_that_fails_once, writer):
    writer.write_images([(0, IMAGE)])
    writer._flusher._under_way.exception(10)
    with pytest.raises(StoreError, match=r"images.hdf5: cannot be written \(Input/output error\)"):
        writer.write_images([(1, IMAGE)])
