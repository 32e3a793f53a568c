"""Cards as plain values, for JSON."""

from __future__ import annotations

from collections import Counter
from typing import Any

from medimeta.catalogue.catalogue import Catalogue
from medimeta.catalogue.schema import DatasetCard


def dataset_summary(card: DatasetCard, catalogue: Catalogue) -> dict[str, Any]:
    """Return what a list shows of a dataset."""
    return {
        "id": card.id,
        "name": card.name,
        "domain": card.domain,
        "channels": card.channels,
        "samples": card.samples.model_dump(),
        "primary_task": card.primary_task,
        "tasks": [{"name": task.name, "target": task.target.value, "labels": len(task.labels)} for task in card.tasks],
        "released_licence": card.released_licence,
        "source_licences": [source.licence for source in card.sources],
        "commercial_use": catalogue.commercial(card),
        "domain_overlaps": list(card.domain_overlaps),
        "subject_overlaps": list(card.subject_overlaps),
        "buildable": card.recipe is not None,
    }


def dataset_details(card: DatasetCard, catalogue: Catalogue) -> dict[str, Any]:
    """Return everything that is known of a dataset."""
    return {**card.model_dump(mode="json"), "commercial_use": catalogue.commercial(card)}


def markdown_table(catalogue: Catalogue) -> str:
    """Return the table of all datasets as Markdown."""
    lines = ["| id | dataset | domain | images | tasks | commercial use |", "|---|---|---|---:|---|---|"]
    for card in catalogue.datasets():
        kinds = Counter(task.target.word for task in card.tasks)
        tasks = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
        use = "yes" if catalogue.commercial(card) else "no"
        cells = (f"`{card.id}`", card.name, card.domain, f"{card.samples.total:,}", tasks, use)
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"
