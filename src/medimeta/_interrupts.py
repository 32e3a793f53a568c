"""Ctrl-C and SIGTERM, held back where they would do harm, and let through where much is to be done.

Python raises KeyboardInterrupt between any two steps of the main thread: also between two renames that belong together,
or when a lock was just taken, for which other threads then wait without end. So a build holds Ctrl-C back, but for the
long stretches in which it does no harm, and asks for it between them. SIGTERM, by which systems end what runs on them,
does in a command what Ctrl-C does, and is told as what it was.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any

BY_CTRL_C, BY_SIGTERM = "stopped by Ctrl-C", "ended by SIGTERM"
STOPPED = f"{BY_CTRL_C}. What is finished is kept; the same command goes on with it."

_last: signal.Signals = signal.SIGINT


def take_sigterm() -> None:
    """Let SIGTERM do from now on what Ctrl-C does, at the same moments; also where a shell lets Ctrl-C be ignored."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, _on_ignored)
    signal.signal(signal.SIGTERM, _on_sigterm)


def _on_sigterm(number: int, frame: FrameType | None) -> None:
    global _last
    _last = signal.SIGTERM
    handler = signal.getsignal(signal.SIGINT)
    if callable(handler):  # else it is ended already, and is not to be disturbed
        handler(number, frame)


def _on_ignored(number: int, _: FrameType | None) -> None:
    if number == signal.SIGTERM:
        raise KeyboardInterrupt


def exit_code() -> int:
    """Return what a command that was stopped leaves with: 130 by Ctrl-C, 143 by SIGTERM, as shells count signals."""
    return 128 + _last


def as_it_came(message: str) -> str:
    """Return a message that tells of Ctrl-C as one that tells of what has come.

    Examples
    --------
    >>> as_it_came(STOPPED)
    'stopped by Ctrl-C. What is finished is kept; the same command goes on with it.'
    """
    return message if _last is signal.SIGINT else message.replace(BY_CTRL_C, BY_SIGTERM, 1)


class held_back:  # noqa: N801 - used as functions are; a class, so that no interrupt comes between the generator's steps
    """Let Ctrl-C wait until the end of the block, or until it is let through; it reaches the main thread alone.

    Within such a block, another does nothing.

    Examples
    --------
    >>> with held_back() as ctrl_c:
    ...     signal.raise_signal(signal.SIGINT)
    ...     ctrl_c.forget()
    """

    def __init__(self) -> None:
        self._handler: Callable[[int, FrameType | None], Any] | None = None
        self._came: tuple[int, FrameType | None] | None = None

    def __enter__(self) -> held_back:
        before = signal.getsignal(signal.SIGINT)
        if isinstance(before, held_back):
            return before
        if callable(before) and threading.current_thread() is threading.main_thread():
            self._handler = before
            signal.signal(signal.SIGINT, self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._handler is not None:
            signal.signal(signal.SIGINT, self._handler)
            if kind is None or not issubclass(kind, KeyboardInterrupt):
                self.deliver()

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Take note of a signal, as its handler."""
        self._came = number, frame

    def deliver(self) -> None:
        """Do what Ctrl-C does, if it came."""
        came, self._came = self._came, None
        if came is not None and self._handler is not None:
            self._handler(*came)

    def forget(self) -> None:
        """Forget that it came: there is nothing left to stop."""
        self._came = None

    def through(self) -> None:
        """Let Ctrl-C do at once what it does, until it is held back again."""
        self.deliver()
        if self._handler is not None:
            signal.signal(signal.SIGINT, self._handler)
            self.deliver()  # what came in this very moment


class let_through:  # noqa: N801 - see held_back
    """Within a block that holds Ctrl-C back, let it through at once, and what came before it."""

    def __init__(self) -> None:
        self._held = signal.getsignal(signal.SIGINT)

    def __enter__(self) -> None:
        if isinstance(self._held, held_back) and threading.current_thread() is threading.main_thread():
            self._held.through()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(self._held, held_back) and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, self._held)


def deliver_held() -> None:
    """Do what Ctrl-C does, if it came and is held back."""
    with let_through():
        pass
