"""What the server of the tests does wrong, on demand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class Fault:
    """How an answer differs from the right one; the functions below make the usual ones.

    Attributes
    ----------
    status : int
        Send this one, with a page for people instead of the file.
    headers : mapping
        Send these, too, or instead of those of the same name; a value of None leaves one out.
    cut : int or None
        Stop after so many bytes of the body.
    how : str
        What is done then: close the connection, reset it, or hold it open and send nothing ("stall").
    rate : float or None
        Bytes a second.
    body : bytes or None
        Send this instead of the file.
    ranges : bool
        False: take no notice of a range that is asked for.
    chunked : bool
        Send in chunks, without a length.
    silent : bool
        Take the request, and never answer.
    """

    status: int = 0
    headers: Mapping[str, str | None] = field(default_factory=dict)
    cut: int | None = None
    how: Literal["close", "reset", "stall"] = "close"
    rate: float | None = None
    body: bytes | None = None
    ranges: bool = True
    chunked: bool = False
    silent: bool = False


WELL = Fault()


def status(code: int, **headers: str) -> Fault:
    """Answer with a status and headers: ``status(429, Retry_After="3")``."""
    return Fault(status=code, headers={name.replace("_", "-"): value for name, value in headers.items()})


def redirect(url: str, code: int = 302) -> Fault:
    """Send the client on to another address."""
    return status(code, Location=url)


def cut(after: int) -> Fault:
    """Close the connection after so many bytes of the body."""
    return Fault(cut=after)


def reset(after: int) -> Fault:
    """Reset the connection (RST) after so many bytes of the body."""
    return Fault(cut=after, how="reset")


def stall(after: int) -> Fault:
    """Send nothing more after so many bytes of the body, and leave the connection open."""
    return Fault(cut=after, how="stall")


def silence() -> Fault:
    """Never answer."""
    return Fault(silent=True)


def slow(rate: float) -> Fault:
    """Send so many bytes a second."""
    return Fault(rate=rate)


def no_ranges() -> Fault:
    """Send the whole file, whatever range is asked for."""
    return Fault(ranges=False, headers={"Accept-Ranges": "none"})


def content_range(value: str | None) -> Fault:
    """Say another range than the one that is sent; None says none."""
    return Fault(headers={"Content-Range": value})


def instead(body: bytes) -> Fault:
    """Send other bytes than those of the file."""
    return Fault(body=body)


def chunked(after: int | None = None) -> Fault:
    """Send in chunks, without a length; cut after so many bytes, where given."""
    return Fault(chunked=True, cut=after)
