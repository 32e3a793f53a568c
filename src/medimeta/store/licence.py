"""``LICENSE``: the terms that bind a user of a stored dataset, and whom to credit."""

from __future__ import annotations

from medimeta.catalogue.catalogue import default_catalogue
from medimeta.catalogue.schema import DatasetCard, Licence


def licence_text(card: DatasetCard) -> str:
    """Return the text of ``LICENSE``: the released licence, then each source with its own terms."""
    catalogue = default_catalogue()
    released = catalogue.licences_of(card)[0]
    if not card.sources:
        return (
            f"{card.name} ({card.id}), in the format of MedIMeta; no dataset of its release.\n\n{_terms(released)}\n\n"
            f"Commercial use: {'allowed' if released.commercial else 'not allowed'}.\n"
        )
    parts = [
        f"{card.name} ({card.id}), a dataset of MedIMeta.",
        "Released as:\n" + _terms(released),
        "Made from the following sources. Their terms hold as well; the strictest decides.",
    ]
    for source in card.sources:
        lines = [f"{source.title}", source.url, _terms(catalogue.licence(source.licence))]
        if source.licence_note:
            lines.append(f"Note: {source.licence_note}")
        lines.append(f"Credit: {'; '.join(source.paper.authors)}. {source.paper_title}. {source.paper_url}")
        parts.append("\n".join(lines))
    use = "allowed" if catalogue.commercial(card) else "not allowed"
    parts.append(f"Commercial use under all of these together: {use}.")
    return "\n\n".join(parts) + "\n"


def _terms(licence: Licence) -> str:
    title = licence.name if licence.name == licence.id else f"{licence.name} ({licence.id})"
    return "\n".join(part for part in (title, licence.url, licence.terms) if part)
