"""The command, called in this process or as one of its own."""

import os
import subprocess
import sys
from typing import NamedTuple

import pytest

from medimeta.cli.boundary import run


class Done(NamedTuple):
    """What a command left with and said."""

    code: int
    out: str
    err: str


@pytest.fixture
def command(capsys):
    """Run the command in this process; it must not show a traceback, whatever it is given."""

    def call(*arguments) -> Done:
        code = run([str(argument) for argument in arguments])
        done = Done(code, *capsys.readouterr())
        assert "Traceback" not in done.out + done.err
        return done

    return call


@pytest.fixture
def process():
    """Run the command as a process of its own."""

    def call(*arguments, **options):
        env = {**os.environ, **options.pop("env", {})}
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "encoding": "utf-8"} | options
        return subprocess.run([sys.executable, "-m", "medimeta", *map(str, arguments)], env=env, **options)

    return call
