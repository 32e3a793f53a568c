"""What a source of bytes says when it is asked for a file from some place on, be it a server or a folder."""

from __future__ import annotations

import re
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from medimeta.errors import ChecksumError, UnreachableError

BLOCK = 1 << 20  # bytes read at once, at most
LOGIN = re.compile(r"//[^/?#]*@")


class Answer(Protocol):
    """Bytes of a file, from some place on."""

    @property
    def start(self) -> int:
        """Place of the first byte that will be read."""

    @property
    def total(self) -> int | None:
        """Length of the whole file; None where it is not said."""

    @property
    def version(self) -> str:
        """What tells this content from another under the same address; empty where nothing does."""

    @property
    def kind(self) -> str:
        """What it is said to be, such as ``text/html``; empty where it is not said."""

    def read(self) -> bytes:
        """Return what has come, at most `BLOCK` bytes; nothing at the end."""


class Place(Protocol):
    """Where a file may be had."""

    url: str

    def open(self, start: int) -> AbstractContextManager[Answer]:
        """Ask for the bytes from `start` on; the answer may begin before.

        Raises
        ------
        PassingError
            It did not work, and may the next time.
        NotPublishedError, RefusedError, UnreachableError
            It did not work, and will not.
        ChecksumError
            The file there is shorter.
        """


@dataclass(eq=False)
class PassingError(UnreachableError):
    """An attempt failed for a reason that may pass.

    Attributes
    ----------
    url : str
        The address.
    reason : str
        What happened: a sentence without its full stop.
    connected : bool
        Whether the server was reached.
    after : float
        Seconds that the server asks to wait; 0 where it asks nothing.
    way_out : str
        What can be done about it: sentences.
    """

    url: str
    reason: str
    connected: bool = True
    after: float = 0.0
    way_out: str = ""

    def __str__(self) -> str:
        return f"{shown(self.url)}: {self.reason}. {self.way_out}".rstrip()


class OtherAnswerError(ChecksumError):
    """What is answered is not the file, as a network's login page: it says nothing about what came before."""


class RefusedError(UnreachableError):
    """The server does not give the file to us."""


def shown(url: str) -> str:
    """Return an address as it may be shown: without a password.

    Examples
    --------
    >>> shown("https://me:secret@mirror.example/bus.zip")
    'https://mirror.example/bus.zip'
    """
    return LOGIN.sub("//", url, count=1)


def host_of(url: str) -> str:
    """Return the host of an address, with its port.

    Examples
    --------
    >>> host_of("https://mirror.example:8000/bus.zip")
    'mirror.example:8000'
    """
    return shown(url).partition("//")[2].partition("/")[0]
