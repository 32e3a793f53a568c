"""The card of a model for people: ``README.md`` in Markdown, with the front matter that model hubs read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import yaml

from medimeta.catalogue.schema import TaskCard, TaskTarget
from medimeta.learning.model_card import ModelCard, TrainedOn

HUB_LICENCES = ("CC-BY-3.0", "CC-BY-4.0", "CC-BY-SA-4.0", "CC-BY-NC-4.0", "CC-BY-NC-SA-4.0")  # as hubs name them, too
NO_FIGURES = ("samples", "confidence", "resamples")  # numbers of an evaluation that say nothing of the model
NAMES = {"auroc": "AUROC"}
STARTS = {"imagenet": "ImageNet weights, as timm has them; their terms hold, too", "none": "random weights"}


def readme_text(card: ModelCard) -> str:
    """Return the text of ``README.md``."""
    parts = [
        f"---\n{_front_matter(card)}---",
        f"# {card.backbone} for {_title(card)}",
        _summary(card),
        _terms(card),
        _use(card),
        *(_labels(task) for task in card.tasks),
        *(_scores(task, card.scores.get(task.id, {})) for task in card.tasks),
        _training(card),
        _data(card),
        _citations(card),
        _made_with(card),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _front_matter(card: ModelCard) -> str:
    licences = [licence.id for licence in card.licences]
    if len(licences) == 1 and licences[0] in HUB_LICENCES:
        licence: dict[str, str] = {"license": licences[0].lower()}
    else:
        licence = {"license": "other", "license_name": " and ".join(licences), "license_link": "README.md"}
    matter = {
        "library_name": "medimeta",
        "pipeline_tag": "image-classification",
        **licence,
        "tags": ["medimeta", "medical-imaging", card.backbone, *(part.id for part in card.data)],
    }
    return yaml.safe_dump(matter, sort_keys=False, allow_unicode=True, width=120)


def _title(card: ModelCard) -> str:
    return card.tasks[0].id if len(card.tasks) == 1 else f"{len(card.tasks)} tasks"


def _summary(card: ModelCard) -> str:
    names = " and ".join(_text(part.name) for part in card.data) if len(card.data) < 4 else f"{len(card.data)} datasets"
    kind = "grey" if card.channels == 1 else "colour"
    lines = [f"Takes {kind} images of {card.size}x{card.size} pixels, as {names} has them, and predicts:\n"]
    for task in card.tasks:
        count = f"{len(task.labels)} label{'s' if len(task.labels) > 1 else ''}"
        lines.append(f"- {_text(task.id)} ({task.target.word}, {count})")
    lines.append(
        "\nThis model was trained for research. It is not a medical device, and must not be used to decide on patients."
    )
    return "\n".join(lines)


def _terms(card: ModelCard) -> str:
    if card.commercial:
        plain = "The licences of its data allow commercial use."
    else:
        barred = sorted({licence.id for licence in card.licences if not licence.commercial})
        plain = f"**Non-commercial use only.** It was trained on data whose terms say so: {', '.join(barred)}."
    rows = [
        (
            part.id,
            f"{licence.name} {licence.url or ''}",
            "yes" if licence.commercial else "no",
            licence.terms,
        )
        for part in card.data
        for licence in part.licences
    ]
    shared = [licence.id for licence in card.licences if licence.share_alike]
    lines = ["## Terms", plain + " Whoever uses or passes on the model is bound by the terms of all of its data."]
    if shared:
        lines.append(f"Pass it on under the same licence ({', '.join(shared)}) only.")
    lines.append(_table(("data", "licence", "commercial use", "terms"), rows))
    return "\n\n".join(lines)


def _use(card: ModelCard) -> str:
    first = card.tasks[0]
    call = f"scores[{first.id!r}]" if card.kind == "multi-task" else "scores"
    shape = "(N,)" if first.target is TaskTarget.BINARY else f"(N, {first.outputs})"
    layout = f"(N, {card.size}, {card.size})" if card.channels == 1 else f"(N, {card.size}, {card.size}, 3)"
    equal = ", of three equal channels" if card.channels == 1 else ""
    return f"""## Use

```python
import medimeta as mm

model = mm.load_model("path/to/this/folder")  # device="cuda" where there is a GPU
images, labels = mm.load_arrays({first.id!r}, root="data", split="test")  # uint8 {layout}
scores = model.predict(images)
{call}.shape  # {shape}
```

Images are uint8, 0 to 255, and scores are probabilities. Inside, images are divided by 255 and normalised:
means {_numbers(card.mean)}; standard deviations {_numbers(card.std)}{equal}."""


def _labels(task: TaskCard) -> str:
    if task.target is TaskTarget.BINARY:
        negative, positive = task.classes
        said = f"The score is the probability of *{_text(positive)}* (stored as 1), against *{_text(negative)}* (0)."
        return f"## Labels of {_text(task.id)}\n\n{said}"
    several = task.target is TaskTarget.MULTILABEL
    said = "Each label has a probability of its own." if several else "The scores of an image add up to 1."
    stored = "column of the stored labels" if several else "stored as"
    rows = [(str(column), str(key), label) for column, (key, label) in enumerate(task.labels.items())]
    table = _table(("column of scores", stored, "label"), rows)
    return f"## Labels of {_text(task.id)}\n\n{said}\n\n{table}"


def _scores(task: TaskCard, scores: Mapping[str, Mapping[str, Any]]) -> str:
    if not scores:
        return ""
    names = dict.fromkeys(
        name
        for figures in scores.values()
        for name, value in figures.items()
        if name not in NO_FIGURES and isinstance(value, (int, float)) and not isinstance(value, bool)
    )
    rows = [
        [split, f"{figures.get('samples', '')}", *(_figure(figures, name) for name in names)]
        for split, figures in scores.items()
    ]
    looked = "The epoch was chosen on `val`" + ("; `test` was not looked at before." if "test" in scores else ".")
    text = [
        f"## Scores of {_text(task.id)}",
        f"{looked} Brackets hold bootstrap intervals.",
        _table(("split", "images", *(NAMES.get(name, name.replace("_", " ")) for name in names)), rows),
    ]
    if per_class := _per_class(scores.get("test", {})):
        text.append(per_class)
    return "\n\n".join(text)


def _per_class(figures: Mapping[str, Any]) -> str:
    classes = figures.get("per_class")
    if not isinstance(classes, Mapping) or not all(isinstance(each, Mapping) for each in classes.values()):
        return ""
    rows = [(name, _value(each.get("positives")), _value(each.get("auroc"))) for name, each in classes.items()]
    rule = {"skip": "is left out of the mean", "zero": "counts 0 in the mean"}.get(str(figures.get("absent")), "")
    note = f"\n\nA label without positives or without negatives has no AUROC, and {rule}." if rule else ""
    return _table(("label", "images of test that have it", "AUROC on test"), rows) + note


def _training(card: ModelCard) -> str:
    rows = [("method", card.method), ("backbone", f"{card.backbone} (timm)"), ("start", _start(card.starts_from))]
    rows += list(_flat(card.training or {}))
    rows += [row for row in _flat(card.config) if row[0] not in ("backbone", "weights", "method")]
    rows.append(("SHA-256 of the settings", card.config_sha256))
    return f"## Training\n\n{_table(('setting', 'value'), rows)}"


def _start(origin: str) -> str:
    return STARTS.get(origin, f"a file of weights, {origin}; its terms hold, too")


def _data(card: ModelCard) -> str:
    parts = ["## Data"]
    for part in card.data:
        partial = " Built from a **part** of the original." if part.partial else ""
        lines = [f"**{_text(part.name)}** (`{part.id}`; {_text(part.domain)}).{partial}"]
        lines.append(f"Fingerprint of images, labels and splits: `{part.fingerprint}`.")
        if part.sources:
            lines.append(f"From {', '.join(f'<{url}>' for url in part.sources)}.")
        lines += [f"- {_text(note)}" for note in part.notes]
        parts.append(_paragraphs(lines))
    return "\n\n".join(parts)


def _paragraphs(lines: Sequence[str]) -> str:
    said = " ".join(line for line in lines if not line.startswith("- "))
    notes = "\n".join(line for line in lines if line.startswith("- "))
    return f"{said}\n\n{notes}" if notes else said


def _citations(card: ModelCard) -> str:
    entries = dict.fromkeys(entry for part in card.data for entry in _entries(part))
    if not entries:
        return ""
    return "## To cite\n\n```bibtex\n" + "\n\n".join(entries) + "\n```"


def _entries(part: TrainedOn) -> list[str]:
    return [entry for entry in part.cite.split("\n\n") if entry]


def _made_with(card: ModelCard) -> str:
    versions = ", ".join(f"{name} {number}" for name, number in card.versions.items())
    return f"## Made with\n\n{card.package}; {versions}; on {card.device}. `model.json` has all of this for machines."


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, str]]:
    """Yield settings as names and text, those of groups with the group's name."""
    for name, value in values.items():
        title = f"{prefix}{name.replace('_', ' ')}"
        if isinstance(value, Mapping):
            yield from _flat(value, f"{title}: ")
        elif not isinstance(value, (list, tuple)):  # histories are for machines
            yield title, _value(value)


def _figure(figures: Mapping[str, Any], name: str) -> str:
    value, interval = figures.get(name), figures.get(f"{name}_interval")
    if value is None or not interval:
        return _value(value)
    return f"{_value(value)} ({_value(interval[0])} to {_value(interval[1])})"


def _value(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _numbers(values: Sequence[float]) -> str:
    return ", ".join(f"{value:.4g}" for value in values)


def _text(text: str) -> str:
    """Keep what names hold from being read as Markdown."""
    for mark in "\\|<*`[":
        text = text.replace(mark, f"\\{mark}")
    return " ".join(text.split())


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    def line(cells: Iterable[str]) -> str:
        return f"| {' | '.join(_text(cell) for cell in cells)} |"

    return "\n".join([line(columns), line(["---"] * len(columns)), *map(line, rows)])
