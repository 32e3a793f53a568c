"""Cards as plain values, for JSON."""

from __future__ import annotations

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
