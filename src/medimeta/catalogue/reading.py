"""From YAML files to validated cards; every problem of every file is reported at once."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any, NamedTuple

import yaml
from pydantic import ValidationError

from medimeta.catalogue.schema import DatasetCard, Licence, consistency_problems
from medimeta.errors import CardError, bullet_list

SafeLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the same rules, in C where the wheel has it
MAX_CARD_BYTES = 1_000_000


class Issue(NamedTuple):
    """One problem of one card."""

    file: str
    field: str
    message: str

    def __str__(self) -> str:
        return f"{self.file}: {self.field}: {self.message}" if self.field else f"{self.file}: {self.message}"


def read_licences() -> dict[str, Licence]:
    """Read the licences that cards may name, by id."""
    raw = _read_yaml(files("medimeta.catalogue") / "licences.yaml")
    return {licence.id: licence for licence in map(Licence.model_validate, raw)}


def read_cards(paths: Iterable[Traversable], licences: Mapping[str, Licence]) -> tuple[DatasetCard, ...]:
    """Read and validate cards.

    Raises
    ------
    CardError
        With the problems of all cards, each with file and field.
    """
    cards: list[DatasetCard] = []
    issues: list[Issue] = []
    for path in sorted(paths, key=lambda path: path.name):
        card, found = _read_card(path, licences)
        issues += found
        if card is not None:
            cards.append(card)
    unread = {issue.file.removesuffix(".yaml") for issue in issues}  # what these would say of overlaps is not known
    issues += _overlap_issues(cards, unread)
    if issues:
        count = "1 problem" if len(issues) == 1 else f"{len(issues)} problems"
        raise CardError(f"{count} in the cards:\n{bullet_list([str(issue) for issue in issues])}")
    return tuple(sorted(cards, key=lambda card: card.id))


def _read_card(path: Traversable, licences: Mapping[str, Licence]) -> tuple[DatasetCard | None, list[Issue]]:
    try:
        raw = _read_yaml(path)
    except yaml.YAMLError as error:
        return None, [Issue(path.name, "", f"is not valid YAML: {' '.join(str(error).split())}")]
    except (OSError, UnicodeDecodeError, ValueError) as error:
        return None, [Issue(path.name, "", f"cannot be read: {error}")]
    if not isinstance(raw, dict):
        return None, [Issue(path.name, "", f"must be a mapping of fields, got {type(raw).__name__}")]
    issues = [Issue(path.name, *problem) for problem in consistency_problems(raw, licences)]
    if isinstance(raw.get("id"), str) and path.name != f"{raw['id']}.yaml":
        issues.append(Issue(path.name, "id", f"is {raw['id']!r}, so the file must be called {raw['id']}.yaml"))
    card = None
    try:
        card = DatasetCard.model_validate(_with_task_context(raw))
    except ValidationError as error:
        issues += validation_issues(path.name, error)
    return (None if issues else card), issues


def validation_issues(file: str, error: ValidationError) -> list[Issue]:
    """Return what pydantic says of a card as issues, each with its field."""
    details = error.errors(include_url=False)
    issues = []
    for detail in details:
        if detail["type"] == "too_short" and any(
            len(other["loc"]) > len(detail["loc"]) and other["loc"][: len(detail["loc"])] == detail["loc"]
            for other in details
        ):
            continue  # pydantic counts the items that are valid; the others are told already
        field = ".".join(str(part) for part in detail["loc"])
        got = detail["input"]
        shown = "" if detail["type"] == "missing" or isinstance(got, (dict, list)) else f", got {got!r}"
        issues.append(Issue(file, field, detail["msg"].removeprefix("Value error, ") + shown))
    return issues


def _with_task_context(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Give each task the id of its dataset and whether it is the primary one: said once in the file."""
    tasks = raw.get("tasks")
    if not isinstance(tasks, list):
        return dict(raw)
    primary = raw.get("primary_task")
    told = [
        {**task, "dataset": raw.get("id"), "primary": task.get("name") == primary} if isinstance(task, dict) else task
        for task in tasks
    ]
    return {**raw, "tasks": told}


def _overlap_issues(cards: Iterable[DatasetCard], unread: Container[str]) -> list[Issue]:
    """Overlaps are symmetric, or the card that is left out of the other explains it."""
    by_id = {card.id: card for card in cards}
    issues = []
    for card in by_id.values():
        for field in ("domain_overlaps", "subject_overlaps"):
            for other in getattr(card, field):
                if other in unread:
                    continue
                if other not in by_id:
                    issues.append(Issue(f"{card.id}.yaml", field, f"{other!r} is not a dataset"))
                elif card.id not in getattr(by_id[other], field) and other not in card.overlap_exceptions:
                    issues.append(
                        Issue(
                            f"{card.id}.yaml",
                            field,
                            f"names {other!r}, but {other}.yaml does not name {card.id!r}: "
                            f"add it there, or explain it here under overlap_exceptions",
                        )
                    )
    return issues


def _read_yaml(path: Traversable) -> Any:
    data = path.read_bytes()
    if len(data) > MAX_CARD_BYTES:
        raise ValueError(f"is {len(data)} bytes long, more than the {MAX_CARD_BYTES} that a card may have")
    return yaml.load(data.decode("utf-8-sig"), Loader=SafeLoader)  # noqa: S506 - CSafeLoader is safe_load in C
