"""``medimeta predict``: what a saved model says of a split of a dataset, or of image files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from medimeta._optional import ask_for
from medimeta.cli import options
from medimeta.cli.console import print_json

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from medimeta.catalogue.schema import TaskCard

    Floats = npt.NDArray[np.float64]


def command(
    model: Annotated[Path, typer.Argument(help="Folder of a saved model.")],
    what: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[TASK|IMAGE...]",
            help="'dataset/task' of a built dataset, or PNG, JPEG and TIFF files. The model's own task without.",
        ),
    ] = None,
    root: options.Root = None,
    split: Annotated[str, typer.Option(help="train, val or test; of a task.")] = "test",
    out: Annotated[
        Path | None,
        typer.Option(help="File to write: *.npz or *.csv; predictions.npz without, or predictions.csv of image files."),
    ] = None,
    device: Annotated[str, typer.Option(help="Such as cpu or cuda; auto is a GPU where there is one.")] = "auto",
    json: options.Json = False,
) -> None:
    """Predict with a saved model, and write the scores for 'medimeta evaluate' or for other programs."""
    ask_for("torch", "timm", "safetensors")
    from medimeta.learning.device import gpus
    from medimeta.learning.saved_model import load_model

    named = what or []
    loaded = load_model(model, ("cuda" if gpus() else "cpu") if device == "auto" else device)
    if any(Path(name).is_file() for name in named):
        _of_files(loaded, [Path(name) for name in named], out or Path("predictions.csv"), json)
        return
    if len(named) > 1:
        raise typer.BadParameter(f"name one task, or image files that are there; got {', '.join(named)}")
    _of_split(loaded, named[0] if named else None, root, split, out or Path("predictions.npz"), json)


def _of_split(loaded: Any, name: str | None, root: Path | None, split: str, out: Path, json: bool) -> None:
    import numpy as np

    from medimeta.learning.predictions import Predictions, write_predictions
    from medimeta.loading.dataset import load
    from medimeta.loading.loader import loader

    dataset = load(name or _only(loaded.tasks, "Name one.").id, root, split)
    card = dataset.task or _only([task for task in loaded.tasks if task in dataset.tasks], "Name it as 'dataset/task'.")
    own = _answering(loaded.tasks, card)
    if dataset.task is None:
        dataset = load(card, root, split)
    batches = (loaded.predict(images) for images, _ in loader(dataset, normalize=None))
    parts = [found[own.id] if isinstance(found, dict) else found for found in batches]
    predictions = Predictions(
        task=card.id,
        split=split,
        data=dataset.stored.fingerprint(),
        samples=dataset.indices,
        labels=dataset.labels,  # type: ignore[arg-type]
        scores=np.concatenate(parts or [_scores_of_none(card)]),
        subjects=dataset.subjects(),
    )
    write_predictions(out, {split: predictions}, root=root)
    told = {"task": card.id, "split": split, "samples": len(predictions), "out": str(out)}
    if json:
        print_json(told)
    else:
        typer.echo(f"{len(predictions):,} samples of {card.id}, {split}: {out}")
        typer.echo(f"Evaluate them with: medimeta evaluate {out}")


def _scores_of_none(card: TaskCard) -> Floats:
    """Return the scores of no samples at all, in the shape that those of a task have."""
    import numpy as np

    from medimeta.catalogue.schema import TaskTarget

    return np.empty((0,) if card.target is TaskTarget.BINARY else (0, card.outputs))


def _of_files(loaded: Any, files: Sequence[Path], out: Path, json: bool) -> None:
    from medimeta._files import write_whole
    from medimeta.learning.predictions.columns import score_names

    if missing := [str(file) for file in files if not file.is_file()]:
        raise typer.BadParameter(f"there is no such file: {', '.join(missing)}")
    if out.suffix.lower() != ".csv":
        raise typer.BadParameter(f"scores of image files are written as *.csv, got {out}", param_hint="--out")
    images = [_pixels(file, loaded.channels, loaded.size) for file in files]
    found = loaded.predict(images)
    scores: dict[str, Floats] = found if isinstance(found, dict) else {loaded.task.id: found}
    columns: dict[str, list[Any]] = {"file": [str(file) for file in files]}
    for task in loaded.tasks:
        table = scores[task.id].reshape(len(files), -1)
        columns |= {
            f"{task.id}: {name}": column for name, column in zip(score_names(task), table.T.tolist(), strict=True)
        }
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    write_whole(out, _csv(rows).encode())
    if json:
        print_json(rows)
    else:
        typer.echo(f"{len(files):,} images: {out}")


def _pixels(file: Path, channels: int, size: int) -> npt.NDArray[np.uint8]:
    """Read an image file; one of another size is padded with black to a square and scaled, as most datasets are."""
    import numpy as np

    from medimeta.recipes.pixels import pad, thumbnail, to_mode
    from medimeta.sources.images import decode

    image, _ = to_mode(decode(file.read_bytes(), str(file)), "L" if channels == 1 else "RGB", str(file))
    if image.size != (size, size):
        image = thumbnail(pad(image), size).image
    return np.asarray(image)


def _csv(rows: Sequence[dict[str, Any]]) -> str:
    import csv
    import io

    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _answering(tasks: Sequence[TaskCard], card: TaskCard) -> TaskCard:
    """Return the task of a model that answers a dataset's: the same, or one with the same labels."""
    from medimeta.errors import UsageError

    for task in (*(each for each in tasks if each.id == card.id), *tasks):
        if (task.target, task.labels) == (card.target, card.labels):
            return task
    known = "; ".join(f"{task.id} ({', '.join(task.classes)})" for task in tasks)
    raise UsageError(f"the model does not predict {card.id} ({', '.join(card.classes)}), but {known}.")


def _only(tasks: Sequence[TaskCard], way_out: str) -> TaskCard:
    if len(tasks) != 1:
        known = ", ".join(task.id for task in tasks) or "none of this dataset"
        raise typer.BadParameter(f"the model has several tasks or none that fits: {known}. {way_out}")
    return tasks[0]
