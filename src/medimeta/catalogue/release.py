"""The published release that this version of the package belongs to."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Release:
    """A release of the data, as published.

    Attributes
    ----------
    version : str
        Its version.
    record : str
        Number of the record at Zenodo. Each version has a number of its own, so it pins the files.
    """

    version: str
    record: str

    @property
    def doi(self) -> str:
        """The record's DOI."""
        return f"10.5281/zenodo.{self.record}"

    @property
    def url(self) -> str:
        """The record's page."""
        return f"https://zenodo.org/records/{self.record}"

    @property
    def api(self) -> str:
        """Address at which the record says which files it has."""
        return f"https://zenodo.org/api/records/{self.record}"


RELEASE = Release(version="1.0", record="7884735")
