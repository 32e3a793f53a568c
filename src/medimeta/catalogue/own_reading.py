"""From a YAML file to the card of own data; every problem of the file is reported at once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from medimeta.catalogue.catalogue import default_catalogue
from medimeta.catalogue.own import QUOTE, FolderCard, OwnCard, TableCard, licence_id
from medimeta.catalogue.reading import Issue, SafeLoader, validation_issues
from medimeta.catalogue.schema import normalised
from medimeta.errors import CardError, bullet_list

MAX_OWN_BYTES = 100_000


def read_own_card(path: str | Path) -> FolderCard | TableCard:
    """Read the card of own data.

    Raises
    ------
    CardError
        With every problem of the card, each with its field.
    """
    path = Path(path)
    raw, issues = _read(path)
    kinds: dict[Any, type[FolderCard] | type[TableCard]] = {"folder": FolderCard, "table": TableCard}
    recipe = raw.get("recipe")
    kind = kinds.get(recipe) if isinstance(recipe, str) else None
    if not issues:
        issues = [Issue(path.name, *problem) for problem in _problems(raw, kind)]
        try:
            card = kind.model_validate(raw) if kind else OwnCard.model_validate(_common(raw))
        except ValidationError as error:
            issues += [_hinted(issue) for issue in validation_issues(path.name, error)]
        if not issues and isinstance(card, (FolderCard, TableCard)):
            return card
    count = "1 problem" if len(issues) == 1 else f"{len(issues)} problems"
    raise CardError(f"{path}: {count} in the card:\n{bullet_list([str(issue) for issue in dict.fromkeys(issues)])}")


def _common(raw: Mapping[Any, Any]) -> dict[Any, Any]:
    """Return what can be judged of a card whose kind is not known."""
    return {key: value for key, value in raw.items() if key in OwnCard.model_fields} | {"recipe": ""}


def _read(path: Path) -> tuple[dict[Any, Any], list[Issue]]:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_OWN_BYTES + 1)
        if len(data) > MAX_OWN_BYTES:
            return {}, [Issue(path.name, "", f"is longer than the {MAX_OWN_BYTES:,} bytes that such a card may have")]
        text = data.decode("utf-8-sig")
        if any(isinstance(token, yaml.AliasToken) for token in yaml.scan(text, Loader=SafeLoader)):
            return {}, [Issue(path.name, "", "refers back with *; write out what is meant, or put the text in quotes")]
        raw = yaml.load(text, Loader=SafeLoader)  # noqa: S506 - CSafeLoader is safe_load in C
    except (yaml.YAMLError, RecursionError) as error:
        return {}, [Issue(path.name, "", f"is not valid YAML: {' '.join(str(error).split())}")]
    except OSError as error:
        return {}, [Issue(path.name, "", f"cannot be read ({error.strerror})")]
    except ValueError as error:
        return {}, [Issue(path.name, "", f"cannot be read: {error}")]
    if not isinstance(raw, dict):
        return {}, [Issue(path.name, "", f"must be a mapping of fields, got {type(raw).__name__}")]
    return raw, []


def _problems(raw: Mapping[Any, Any], kind: type[OwnCard] | None) -> list[tuple[str, str]]:
    """Check what no single field can know, on the raw card, so that it is reported along with bad fields."""
    problems: list[tuple[str, str]] = []
    if kind is None:
        got = f", got {raw['recipe']!r}" if "recipe" in raw else ""
        problems.append(("recipe", f"must be folder (a folder for each class) or table (a table of labels){got}"))
    catalogue = default_catalogue()
    if isinstance(raw.get("id"), str) and normalised(raw["id"]) in {
        normalised(card.id) for card in catalogue.datasets()
    }:
        problems.append(("id", f"{raw['id']!r} is a dataset of MedIMeta; choose another"))
    licence = catalogue.licences.get(licence_id(str(raw.get("licence"))))
    if licence is not None and raw.get("commercial") not in (None, licence.commercial):
        allows = "allows" if licence.commercial else "does not allow"
        problems.append(("commercial", f"leave it out: {licence.id} {allows} commercial use"))
    return problems


def _hinted(issue: Issue) -> Issue:
    if issue.message.startswith("Input should be a valid string, got ") and issue.message.endswith(("True", "False")):
        return issue._replace(message=f"{issue.message}; {QUOTE}")
    if issue.message.startswith("Extra inputs are not permitted"):
        return issue._replace(message="there is no such field")
    return issue
