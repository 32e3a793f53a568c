"""Which file a cell of a table means: people write more or less than the whole path, or leave out the extension."""

from __future__ import annotations

from collections.abc import Iterable

from medimeta.catalogue.own import clean
from medimeta.sources.images import is_image, without_suffix

_Parts = tuple[str, ...]


class ImageNames:
    r"""The images of a source, to be found by the cells of a table.

    A cell and a file agree where one's path ends with the whole of the other's; case and the kind of slash do not
    matter, nor does the extension where the cell has none. Other folders, or another extension, are another file:
    guessing here would put a label on the wrong image.

    Examples
    --------
    >>> names = ImageNames(["a/x.png", "b/x.png", "y.jpg"])
    >>> names.find(r"C:\data\A\X.PNG"), names.find("y"), names.find("x.png"), names.find("c/x.png")
    (('a/x.png',), ('y.jpg',), ('a/x.png', 'b/x.png'), ())
    """

    def __init__(self, members: Iterable[str]) -> None:
        self._by_name: dict[str, list[tuple[_Parts, str]]] = {}
        self._by_stem: dict[str, list[tuple[_Parts, str]]] = {}
        for member in members:
            *above, name = _parts(member)
            self._by_name.setdefault(name, []).append((tuple(above), member))
            self._by_stem.setdefault(without_suffix(name), []).append((tuple(above), member))

    def find(self, cell: str) -> tuple[str, ...]:
        """Return the members that a cell may mean: one where all is well."""
        parts = _parts(cell)
        if not parts:
            return ()
        *above, name = parts
        wanted = tuple(above)
        alike = (self._by_name if is_image(name) else self._by_stem).get(name, [])
        same = [member for own, member in alike if own == wanted]
        below = [member for own, member in alike if not wanted or own[-len(wanted) :] == wanted]
        longest = max((len(own) for own, _ in alike if wanted[len(wanted) - len(own) :] == own), default=0)
        above_it = [m for own, m in alike if len(own) == longest and wanted[len(wanted) - len(own) :] == own]
        found = same or below or above_it
        if len(found) > 1:  # files that differ in case alone
            spelled = clean(cell).replace("\\", "/")
            found = [member for member in found if clean(member).endswith(spelled)] or found
        return tuple(found)


def _parts(path: str) -> _Parts:
    return tuple(part for part in clean(path).casefold().replace("\\", "/").split("/") if part not in ("", ".", ".."))
