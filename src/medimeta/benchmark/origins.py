"""Where a backbone starts from: ImageNet, nothing, a file, or a pre-training that is still to be run."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from medimeta.errors import WeightsError

PRETRAINED = ("multi-domain", "maml")
TO_COME = "sha256:to come"  # of weights whose pre-training is still to be run


@dataclass(frozen=True)
class Origin:
    """Where a backbone's first weights come from.

    Attributes
    ----------
    name : str
        For people: ``"imagenet"``, ``"scratch"``, ``"multi-domain"``, ``"maml"``, or the file's name.
    weights : str
        For settings: ``"imagenet"``, ``"none"``, or ``"sha256:..."`` of a file.
    file : Path, optional
        The file.
    """

    name: str
    weights: str
    file: Path | None = None

    @property
    def pending(self) -> bool:
        """Whether it must be pre-trained before it can be used."""
        return self.weights == TO_COME


def origin(name: str) -> Origin:
    """Return what the name of an origin, or the path of a file, means.

    Raises
    ------
    WeightsError
        There is no such file.

    Examples
    --------
    >>> origin("none")
    Origin(name='scratch', weights='none', file=None)
    """
    if name == "none":
        return Origin("scratch", "none")
    if name == "imagenet":
        return Origin(name, name)
    if name in PRETRAINED:
        return Origin(name, TO_COME)
    return from_file(Path(name))


def from_file(path: Path, name: str | None = None) -> Origin:
    """Return the origin of a file of weights, which is known by its digest.

    Raises
    ------
    WeightsError
        There is no such file.
    """
    if not path.is_file():
        raise WeightsError(
            f"{path}: there is no such file. Check the path given as --weights; else name one of imagenet, none, "
            f"{', '.join(PRETRAINED)}."
        )
    with path.open("rb") as file:
        return Origin(name or path.stem, f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}", path.absolute())
