"""Citations as BibTeX: MedIMeta itself, and everything a dataset was made from."""

from __future__ import annotations

from medimeta.catalogue.release import RELEASE
from medimeta.catalogue.schema import DatasetCard, Paper

MEDIMETA = Paper(
    key="woerner2024medimeta",
    authors=("Woerner, Stefano", "Jaques, Arthur", "Baumgartner, Christian F."),
    title="A comprehensive and easy-to-use multi-domain multi-task medical imaging meta-dataset (MedIMeta)",
    year=2024,
    doi=RELEASE.doi,
    url=RELEASE.url,
)

_ESCAPES = str.maketrans({"&": r"\&", "%": r"\%", "#": r"\#", "_": r"\_"})


def bibtex(card: DatasetCard) -> str:
    """Return BibTeX entries for MedIMeta and every paper behind the dataset, each key once.

    Examples
    --------
    >>> import medimeta as mm
    >>> print(bibtex(mm.dataset("bus")).splitlines()[0])
    @misc{woerner2024medimeta,
    """
    papers = {paper.key: paper for paper in (MEDIMETA, *(source.paper for source in card.sources))}
    return "\n\n".join(_entry(paper) for paper in papers.values())


def _entry(paper: Paper) -> str:
    fields = {
        "title": "{" + paper.title.translate(_ESCAPES) + "}",  # the second braces keep its capitals
        "author": " and ".join(paper.authors).translate(_ESCAPES),
        "year": str(paper.year),
        "booktitle" if paper.conference else "journal": paper.venue.translate(_ESCAPES) if paper.venue else None,
        "volume": paper.volume,
        "pages": paper.pages.replace("–", "--") if paper.pages else None,
        "doi": paper.doi,
        "url": paper.url,
    }
    body = ",\n".join(f"  {name} = {{{value}}}" for name, value in fields.items() if value)
    kind = "misc" if paper.venue is None else "inproceedings" if paper.conference else "article"
    return f"@{kind}{{{paper.key},\n{body}\n}}"
