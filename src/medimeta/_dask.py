"""A Dask cluster by the address of its scheduler."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from medimeta._interrupts import let_through
from medimeta._optional import require
from medimeta.errors import UsageError


@contextmanager
def connected(address: str, seconds: float) -> Iterator[Any]:
    """Connect with a cluster that has workers; the `distributed.Client` is closed in the end.

    Raises
    ------
    UsageError
        There is no such scheduler, or it has no workers.
    """
    distributed = require("distributed")
    try:  # before Dask starts threads, and waits, for an address that cannot be one
        distributed.comm.resolve_address(address)
    except (OSError, ValueError) as error:
        raise _nobody_at(address, error) from error
    with _quiet("distributed.client", "tornado.application"):
        try:
            with let_through():
                client = distributed.Client(address, timeout=seconds, set_as_default=False)
        except (OSError, ValueError, TimeoutError) as error:
            raise _nobody_at(address, error) from error
        try:
            if not client.nthreads():
                raise UsageError(
                    f"--dask {address}: the scheduler has no workers yet. Start some: dask worker {address}"
                )
            yield client
        finally:
            client.close()


def _nobody_at(address: str, error: Exception) -> UsageError:
    return UsageError(f"--dask {address}: no Dask scheduler answers there ({error}). Check the address.")


@contextmanager
def _quiet(*loggers: str) -> Iterator[None]:
    """Keep tracebacks off the screen that are logged when part of a cluster dies: errors of ours tell of it."""
    before = {name: logging.getLogger(name).level for name in loggers}
    try:
        for name in loggers:
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)
        yield
    finally:
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)
