"""The one place where errors become messages and exit codes.

Exit codes: 0 done; 1 problems found, in the data or on the machine; 2 the command was wrong; 130 ended by Ctrl-C,
143 by SIGTERM.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any

import typer

from medimeta._interrupts import STOPPED, as_it_came, exit_code, held_back
from medimeta._optional import missing_dependency
from medimeta.errors import MedimetaError

DONE, PROBLEMS, WRONG_USE = 0, 1, 2


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code; a message on standard error says what went wrong."""
    from typer.main import get_command

    from medimeta.cli.app import app

    # Typer brings its own Click from some version on and shows only part of it: BadParameter -> UsageError -> this.
    click_exception: Any = typer.BadParameter.__mro__[2]
    try:
        # Not app(...): its wrapper swallows Ctrl-C and a closed pipe, other from version to version.
        with get_command(app).make_context("medimeta", list(arguments)) as context:
            code = context.command.invoke(context)
        if sys.stdout is not None:
            sys.stdout.flush()
    except typer.Exit as finished:
        return int(finished.exit_code)
    except (typer.Abort, KeyboardInterrupt) as stopped:
        with held_back() as ctrl_c:  # the message is shown once, however often it is pressed
            _tell(as_it_came(str(stopped) or STOPPED))
            ctrl_c.forget()
        return exit_code()
    except click_exception as error:
        error.show()
        return int(error.exit_code)
    except MedimetaError as error:
        _tell(f"error: {error}")
        return error.exit_code
    except ModuleNotFoundError as error:
        missing = missing_dependency(error)
        if missing is None:
            raise
        _tell(f"error: {missing}")
        return missing.exit_code
    except BrokenPipeError:
        # The reader of a pipe, such as head, has seen enough.
        _drop_output()
        return DONE
    except SystemExit as error:
        if not isinstance(error.__context__, BrokenPipeError):  # so rich's console leaves on a closed pipe
            raise
        _drop_output()
        return DONE
    except OSError as error:
        _drop_output()
        _tell(f"error: {error}")
        return PROBLEMS
    return code if isinstance(code, int) else DONE


def _tell(message: str) -> None:
    typer.echo(message, err=True)


def _drop_output() -> None:
    """Where standard output takes no more, send what is still buffered nowhere, or Python would complain at its end."""
    try:
        sys.stdout.flush()
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.close(nowhere)
