"""Reading ahead: in order, no more than asked for, and no way of failing that hangs."""

import os
import subprocess
import sys
import threading
import time

import pytest

from medimeta.errors import UsageError
from medimeta.loading.ahead import THREAD_NAME, Job, ReadAhead


def jobs(count, parts=3, work=lambda number, part: None, begun=None):
    for number in range(count):
        if begun is not None:
            begun.append(number)
        done = []
        yield Job(
            (number, done),
            [
                lambda number=number, part=part, done=done: done.append((work(number, part), part)[1])
                for part in range(parts)
            ],
        )


@pytest.fixture(autouse=True)
def no_thread_is_left():
    yield
    assert not [thread for thread in threading.enumerate() if thread.name.startswith(THREAD_NAME)]


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("ahead", [1, 3])
def test_results_are_whole_and_in_order(threads, ahead):
    def work(number, part):
        time.sleep(0.002 * ((number + part) % 3))

    with ReadAhead(jobs(8, work=work), threads, ahead) as results:
        found = [(number, sorted(done)) for number, done in results]
    assert found == [(number, [0, 1, 2]) for number in range(8)]


def test_no_more_is_begun_than_may_be_ahead():
    begun = []
    with ReadAhead(jobs(20, begun=begun), threads=3, ahead=2) as results:
        for number, _ in results:
            time.sleep(0.01)
            assert len(begun) <= number + 1 + 2


def test_all_threads_work_on_one_job():
    """Parts of a job meet at a barrier, which one thread alone could not pass."""
    meeting = threading.Barrier(3, timeout=10)
    with ReadAhead(jobs(4, work=lambda number, part: meeting.wait()), threads=3, ahead=1) as results:
        assert len(list(results)) == 4


def test_a_job_without_parts_is_ready():
    with ReadAhead(jobs(3, parts=0), threads=2, ahead=1) as results:
        assert [number for number, _ in results] == [0, 1, 2]


def test_an_error_in_a_part_comes_after_the_results_before_it():
    def work(number, part):
        if number == 2 and part == 1:
            raise ValueError("the third job")

    with ReadAhead(jobs(5, work=work), threads=2, ahead=4) as results:
        assert [next(results)[0], next(results)[0]] == [0, 1]
        with pytest.raises(ValueError, match="the third job"):
            next(results)


def test_an_error_in_making_a_job_comes_after_the_results_before_it():
    def broken():
        yield from jobs(2)
        raise RuntimeError("no more jobs")

    with ReadAhead(broken(), threads=2, ahead=4) as results:
        assert [next(results)[0], next(results)[0]] == [0, 1]
        with pytest.raises(RuntimeError, match="no more jobs"):
            next(results)


def test_a_thread_that_dies_is_an_error(monkeypatch):
    def die(self, job, part):
        raise MemoryError("no memory to work in")

    monkeypatch.setattr(ReadAhead, "_work", die)
    with ReadAhead(jobs(5), threads=2, ahead=2) as results, pytest.raises(MemoryError):
        next(results)


def test_threads_that_cannot_be_started_leave_none_behind(monkeypatch):
    start, started = threading.Thread.start, []

    def limited(thread):
        if len(started) == 2:
            raise RuntimeError("can't start new thread")
        started.append(thread)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", limited)
    with pytest.raises(RuntimeError, match="can't start"), ReadAhead(jobs(5), threads=4, ahead=1):
        pass


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")  # that is what is tested
def test_a_forked_process_is_told_to_begin_anew():
    with ReadAhead(jobs(5), threads=2, ahead=2) as results:
        next(results)
        child = os.fork()
        if child == 0:
            try:
                next(results)
            except UsageError:
                results.close()
                os._exit(0)
            os._exit(1)
        assert os.waitpid(child, 0)[1] == 0
        assert len(list(results)) == 4


UNFINISHED = """
from medimeta.loading.ahead import Job, ReadAhead

def stream():
    with ReadAhead((Job(number, [lambda: None]) for number in range(9)), threads=2, ahead=2) as results:
        yield from results

passing = stream()
print(next(passing))
"""


def test_a_program_ends_with_a_pass_that_is_not_done():
    ended = subprocess.run([sys.executable, "-c", UNFINISHED], capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "0\n", "")
