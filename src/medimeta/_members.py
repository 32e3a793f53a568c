"""Names of the members of archives: which lead out, and which are left behind by packers."""

from __future__ import annotations

MAX_MEMBERS = 2_000_000  # of an archive; the largest has some hundred thousand
JUNK_FOLDERS = frozenset({"__MACOSX"})
_JUNK_NAMES = frozenset({"thumbs.db", "desktop.ini", ".ds_store"})


def leads_out(name: str) -> bool:
    """Whether a member's name, with forward slashes, leads out of the folder into which it would be extracted.

    Examples
    --------
    >>> [leads_out(name) for name in ("/etc/a", "images/../../a", "C:/a", "./C:a", "images/1..2.png")]
    [True, True, True, True, False]
    """
    if name.startswith("/") or (".." in name and ".." in name.split("/")):
        return True
    return ":" in name and ":" in next(part for part in name.split("/") if part not in ("", "."))


def is_unicode(name: str) -> bool:
    r"""Whether a name can be written as UTF-8; bytes of a name that are none are kept as what cannot.

    Examples
    --------
    >>> is_unicode("Ü.png"), is_unicode("\udcff.png")
    (True, False)
    """
    return name.isascii() or name.encode(errors="ignore").decode() == name


def junk(name: str) -> bool:
    """Whether a member is what a packer or file manager left behind.

    Examples
    --------
    >>> junk("images/Thumbs.db"), junk("images/1.png")
    (True, False)
    """
    parts = name.split("/")
    return not JUNK_FOLDERS.isdisjoint(parts[:-1]) or parts[-1].startswith("._") or parts[-1].casefold() in _JUNK_NAMES
