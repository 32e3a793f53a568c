"""The card of a pre-trained backbone for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

METHODS = {"multi-task": "multi-task training, with a head for each task", "maml": "meta-training (MAML) on episodes"}


def readme_text(record: Mapping[str, Any]) -> str:
    """Return the text of ``README.md``, from the record."""
    data, training = record["data"], record["training"]
    licences = {licence["id"]: licence for part in data.values() for licence in part["licences"]}
    barred = sorted(name for name, licence in licences.items() if not licence["commercial"])
    terms = (
        f"**Non-commercial use only.** It was trained on data whose terms say so: {', '.join(barred)}."
        if barred
        else "The licences of its data allow commercial use."
    )
    settings = {name: value for name, value in record["config"].items() if not isinstance(value, Mapping)}
    parts = [
        f"# {record['backbone']}, pre-trained on {len(record['tasks'])} tasks",
        f"By {METHODS[record['method']]}, starting from {record['weights']}. Epoch {training['best_epoch']} of "
        f"{training['epochs']} was chosen by {training['chosen_by']}.",
        "```\nmedimeta train TASK --backbone " + record["backbone"] + " --weights backbone.safetensors\n```",
        "`pretraining.json` says all that the weights depend on. This backbone was trained for research; it is no "
        "medical device.",
        "## Terms",
        f"{terms} Whoever uses or passes it on is bound by the terms of all of its data.",
        _list(f"{name}: {', '.join(licence['name'] for licence in part['licences'])}" for name, part in data.items()),
        "## Tasks",
        _list(f"{name}, {record['samples'][name]['train']:,} images" for name in record["tasks"]),
        "## Settings",
        _list(f"{name.replace('_', ' ')}: {value}" for name, value in settings.items()),
        "## To cite",
        "```bibtex\n" + "\n\n".join(dict.fromkeys(part["cite"] for part in data.values() if part["cite"])) + "\n```",
    ]
    return "\n\n".join(parts) + "\n"


def _list(lines: Any) -> str:
    return "\n".join(f"- {line}" for line in lines)
