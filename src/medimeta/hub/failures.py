"""What errors of the HTTP library and answers of a server mean: which may pass, and what to tell of the others."""

from __future__ import annotations

import errno
import http.client
import socket
import ssl
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus

import requests
import urllib3.exceptions

from medimeta.errors import NotPublishedError, UnreachableError
from medimeta.hub.answer import PassingError, RefusedError, host_of, shown

# Too early, too many, or trouble of the server's own; 520 to 527 are those of a content delivery network.
PASSING = frozenset({408, 425, 429, 500, 502, 503, 504, *range(520, 528)})
CERTIFICATE = (
    "If the network puts a certificate of its own in between, name the file of its authority by SSL_CERT_FILE or "
    "REQUESTS_CA_BUNDLE; else check the address, and the clock of this machine."
)
BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")
NETWORK = "Check the network and the address; where a proxy is needed, name it by HTTPS_PROXY and HTTP_PROXY."
LONGEST_SENSE = 31 * 86_400.0  # seconds; who asks for more does not mean it
EPOCH = 1_000_000_000  # a smaller X-RateLimit-Reset counts seconds from now, as some servers have it


def of_error(error: BaseException, url: str) -> UnreachableError:
    """Return what an error of the library means: a `PassingError` where it may pass."""
    found = list(_causes(error))

    def has(*kinds: type[BaseException]) -> bool:
        return any(isinstance(each, kinds) for each in found)

    for each in found:
        if isinstance(each, ssl.SSLCertVerificationError):
            return UnreachableError(
                f"{shown(url)}: the server's certificate cannot be trusted ({each.verify_message}). {CERTIFICATE}"
            )
    if has(requests.exceptions.ProxyError, urllib3.exceptions.ProxyError):
        return PassingError(url, f"the proxy does not let it through ({_innermost(found)})", False, way_out=NETWORK)
    if has(socket.gaierror, urllib3.exceptions.NameResolutionError):
        return PassingError(url, f"there is no host {host_of(url)}, or no network", False, way_out=NETWORK)
    if has(ConnectionRefusedError):
        return PassingError(url, "the connection was refused", False, way_out=NETWORK)
    if has(urllib3.exceptions.ConnectTimeoutError):
        return PassingError(url, "no connection could be made in time", False, way_out=NETWORK)
    if any(isinstance(each, OSError) and each.errno in (errno.ENETUNREACH, errno.EHOSTUNREACH) for each in found):
        return PassingError(url, "there is no way to the host, or no network", False, way_out=NETWORK)
    if has(urllib3.exceptions.ReadTimeoutError, TimeoutError):
        return PassingError(url, "the server sent nothing for too long")
    if has(ConnectionResetError, BrokenPipeError, ConnectionAbortedError):
        return PassingError(url, "the connection was reset")
    if has(http.client.IncompleteRead, urllib3.exceptions.IncompleteRead, http.client.RemoteDisconnected):
        return PassingError(url, "the connection was cut")
    if has(ssl.SSLError):
        return PassingError(url, f"no secure connection ({_innermost(found)})", False, way_out=CERTIFICATE)
    if has(http.client.HTTPException):
        return PassingError(url, f"the server does not answer as HTTP wants it ({_innermost(found)})")
    if has(urllib3.exceptions.ProtocolError, urllib3.exceptions.NewConnectionError):
        return PassingError(url, f"the connection failed ({_innermost(found)})", way_out=NETWORK)
    why = _innermost(found)
    if "SOCKS" in why:
        return UnreachableError(f"{shown(url)}: the proxy speaks SOCKS, which needs: pip install pysocks.")
    if "CA certificate bundle" in why:
        return UnreachableError(f"{shown(url)}: {why}. It is named by {' or '.join(BUNDLES)}: mend or unset that.")
    return UnreachableError(f"{shown(url)}: cannot be fetched ({why}). Check the address.")


def of_status(status: int, headers: Mapping[str, str], url: str) -> UnreachableError | NotPublishedError:
    """Return what a status means that is not one of success: a `PassingError` where it may pass."""
    said = f"{status} {_phrase(status)}".strip()
    if status in PASSING:
        after = _asked_to_wait(status, headers)
        return PassingError(url, f"the server answers {said}", after=after, way_out="Try later, or another --mirror.")
    if status in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE):
        return NotPublishedError(f"{shown(url)}: is not there ({said}).")
    if status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
        return RefusedError(
            f"{shown(url)}: the proxy wants a name and a password ({said}). Give them in HTTPS_PROXY and HTTP_PROXY."
        )
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.UNAVAILABLE_FOR_LEGAL_REASONS):
        return RefusedError(
            f"{shown(url)}: the server refuses to give it ({said}). It may want a login, or turn away your network. "
            f"Try it in a browser or later, or take another --mirror."
        )
    return UnreachableError(f"{shown(url)}: the server answers {said}. Check the address.")


def _asked_to_wait(status: int, headers: Mapping[str, str]) -> float:
    """Return the seconds that a server asks to wait (RFC 9110, section 10.2.3); times are read by its own clock."""
    now = _date(headers.get("Date", "")) or datetime.now(UTC)
    text, reset = (headers.get(name, "").strip()[:30] for name in ("Retry-After", "X-RateLimit-Reset"))
    seconds = 0.0
    if text.isascii() and text.isdigit():
        seconds = float(text)
    elif date := _date(text):
        seconds = (date - now).total_seconds()
    elif status == HTTPStatus.TOO_MANY_REQUESTS and reset.isascii() and reset.isdigit():
        seconds = float(reset)
        if seconds >= EPOCH:
            seconds = (
                seconds / 1000 if seconds >= 100 * EPOCH else seconds
            ) - now.timestamp()  # some tell milliseconds
    return seconds if 0 < seconds <= LONGEST_SENSE else 0.0


def _date(text: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(text)
    except ValueError:
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and those it was made of, outermost first: the library wraps them in several ways."""
    waiting, seen = [error], set[int]()
    while waiting:
        each = waiting.pop(0)
        if id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        inner = (*each.args, getattr(each, "reason", None), each.__cause__, each.__context__)
        waiting += [part for part in inner if isinstance(part, BaseException)]


def _innermost(found: list[BaseException]) -> str:
    last = found[-1]
    return " ".join((getattr(last, "strerror", None) or str(last) or type(last).__name__).split())[:200]
