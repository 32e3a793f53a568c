"""What a user of a dataset must know of its terms: licences, whom to cite, and whether it may be used commercially."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from medimeta.catalogue.catalogue import default_catalogue
from medimeta.catalogue.schema import DatasetCard, Licence, Paper, Source


@dataclass(frozen=True)
class Attribution:
    """The terms of a dataset.

    Attributes
    ----------
    dataset : str
        Id of the dataset.
    licence : str
        The licence that it is released under.
    commercial : bool
        Whether commercial use is allowed: the strictest of the released licence and every source's.
    forbidding : tuple of str
        The licences that do not allow it.
    sources : tuple of Source
        What it was made from, each with its own licence and the paper to cite.
    """

    dataset: str
    licence: str
    commercial: bool
    forbidding: tuple[str, ...]
    sources: tuple[Source, ...]

    def text(self) -> str:
        """Return the terms for people."""
        licence = _licence(default_catalogue().licence(self.licence))
        lines = [f"{self.dataset}: released under {licence}"]
        for source in self.sources:
            note = f" ({source.licence_note})" if source.licence_note else ""
            lines.append(f"  made from: {source.title}, {source.url}")
            lines.append(f"    licence: {_licence(default_catalogue().licence(source.licence))}{note}")
            lines.append(f"    cite: {_citation(source.paper)}")
        if not self.commercial:
            lines.append(f"  NON-COMMERCIAL USE ONLY: {', '.join(self.forbidding)} does not allow commercial use.")
        lines.append(f"  BibTeX of all, MedIMeta's own included: medimeta show {self.dataset} --bibtex")
        return "\n".join(lines)

    def as_dict(self) -> dict[str, Any]:
        """Return the terms as plain values, ready for JSON."""
        return {
            "licence": self.licence,
            "commercial_use": self.commercial,
            "sources": [
                {
                    "title": source.title,
                    "url": source.url,
                    "licence": source.licence,
                    "licence_note": source.licence_note,
                    "cite": _citation(source.paper),
                }
                for source in self.sources
            ],
        }


def attribution(card: DatasetCard) -> Attribution:
    """Return the terms of a dataset.

    Examples
    --------
    >>> import medimeta as mm
    >>> attribution(mm.dataset("derm")).commercial
    False
    """
    catalogue = default_catalogue()
    forbidding = tuple(licence.id for licence in catalogue.licences_of(card) if not licence.commercial)
    return Attribution(card.id, card.released_licence, catalogue.commercial(card), forbidding, card.sources)


def _licence(licence: Licence) -> str:
    return f"{licence.id}, {licence.url}" if licence.url else licence.id


def _citation(paper: Paper) -> str:
    first = paper.authors[0].split(",")[0]
    authors = first if len(paper.authors) == 1 else f"{first} et al."
    place = f"https://doi.org/{paper.doi}" if paper.doi else paper.url
    return ". ".join(part for part in (f"{authors} ({paper.year})", paper.title, paper.venue, place) if part)
