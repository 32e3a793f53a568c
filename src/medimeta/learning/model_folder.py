"""The folder of a saved model: its card, read without any learning framework, and what it lacks at a glance."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import ValidationError

from medimeta.errors import ModelError, ModelNotFoundError, problems_error
from medimeta.learning.model_card import FORMAT_VERSION, ModelCard

CARD, README, WEIGHTS = "model.json", "README.md", "model.safetensors"
MAX_CARD_BYTES = 16_000_000


def model_problem(folder: Path) -> str | None:
    """Say what a saved model lacks at a glance: files, or bytes of its weights; None where it is whole."""
    try:
        file = read_card(folder).weights
        size = (folder / WEIGHTS).stat().st_size
    except ModelNotFoundError:
        return f"{folder.name}: is missing"
    except (ModelError, OSError):
        return f"{folder.name}: is damaged"
    return None if file is not None and file.bytes == size else f"{folder.name}: is damaged"


def read_card(folder: Path) -> ModelCard:
    """Read the card of a saved model.

    Raises
    ------
    ModelNotFoundError
        There is no saved model.
    ModelError
        The card does not read, or is none.
    """
    path = folder / CARD
    if not path.is_file():
        raise ModelNotFoundError(
            f"{folder}: there is no saved model here: {CARD} is missing. Pass the folder that holds it."
        )
    try:
        with path.open("rb") as file:
            data = file.read(MAX_CARD_BYTES + 1)
        if len(data) > MAX_CARD_BYTES:
            raise ModelError(
                f"{path}: is larger than the {MAX_CARD_BYTES:,} bytes that it may have. Copy the whole folder again."
            )
        raw = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path}: is not valid JSON ({error}).") from None
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror}).") from None
    version = raw.get("format_version") if isinstance(raw, dict) else None
    if isinstance(version, int) and version > FORMAT_VERSION:
        raise ModelError(
            f"{path}: has format version {version}, newer than the {FORMAT_VERSION} that this version of medimeta "
            f"reads. Upgrade medimeta."
        )
    try:
        return ModelCard.model_validate_json(data)
    except ValidationError as error:
        problems = [
            f"{'.'.join(map(str, each['loc'])) or 'card'}: {each['msg'].removeprefix('Value error, ')}"
            for each in error.errors(include_url=False)
        ]
        raise problems_error(ModelError, f"{path}: is not the card of a model.", problems) from None
