"""``medimeta evaluate``: figures of predictions in a file, from this package or from any other framework."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from medimeta.cli import options
from medimeta.cli.console import print_json

if TYPE_CHECKING:
    from medimeta.catalogue.schema import TaskCard
    from medimeta.learning.predictions import Predictions


def command(
    file: Annotated[Path, typer.Argument(help="Predictions, as *.npz or *.csv; docs/metrics.md says what they hold.")],
    task: Annotated[
        str | None, typer.Option(help="The task as 'dataset/task', where the file does not say it.", show_default=False)
    ] = None,
    root: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the built datasets, to look up patients and labels and to compare the samples with. "
            "Where the file has no labels: else $MEDIMETA_ROOT, else ./data.",
            show_default=False,
        ),
    ] = None,
    split: Annotated[str, typer.Option(help="Which split of the file; train, val or test.")] = "test",
    absent: Annotated[
        str, typer.Option(help="What a class without positives or negatives counts in a mean: skip it, or zero.")
    ] = "skip",
    resamples: Annotated[int, typer.Option(min=0, help="Bootstrap resamples; 0 makes no intervals.")] = 1000,
    confidence: Annotated[float, typer.Option(help="Level of the intervals.")] = 0.95,
    by_subject: Annotated[
        bool | None,
        typer.Option(
            "--by-subject/--by-image",
            help="Whether resamples draw patients or images; patients where they are known.",
            show_default=False,
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the resamples.")] = 0,
    one_vs_rest: Annotated[
        bool,
        typer.Option(
            "--one-vs-rest", help="Scores of several classes are of each against the rest, and need not sum to 1."
        ),
    ] = False,
    compare: Annotated[
        Path | None,
        typer.Option(
            metavar="OTHER",
            help="Predictions of another model, to test the differences on the same resamples.",
            show_default=False,
        ),
    ] = None,
    json: options.Json = False,
) -> None:
    """Evaluate predictions: AUROC, average precision, accuracy, calibration and more, each with its interval."""
    from medimeta.cli.evaluate_tables import print_comparison, print_scores
    from medimeta.learning.metrics import compare as compared
    from medimeta.learning.metrics import evaluate
    from medimeta.learning.predictions import check_same_samples

    card, first = _read(file, task, root, split, by_subject, one_vs_rest)
    settings: dict[str, Any] = {
        "absent": absent,
        "resamples": resamples,
        "confidence": confidence,
        "groups": None if by_subject is False else first.subjects,
        "seed": seed,
        "one_vs_rest": one_vs_rest,
    }
    if compare is None:
        scores = evaluate(card, _labels(first), first.scores, **settings)
        if json:
            print_json({"file": str(file), "split": split, **scores.as_dict()})
        else:
            print_scores(scores, split)
        return
    _, second = _read(compare, card.id, root, split, by_subject, one_vs_rest)
    check_same_samples(first, second)
    comparison = compared(card, _labels(first), first.scores, second.scores, **settings)
    if json:
        print_json({"files": [str(file), str(compare)], "split": split, **comparison.as_dict()})
    else:
        print_comparison(comparison, split, (str(file), str(compare)))


def _read(
    file: Path, task: str | None, root: Path | None, split: str, by_subject: bool | None, one_vs_rest: bool
) -> tuple[TaskCard, Predictions]:
    """Read one split; look up in the dataset what the file lacks, and where a root is named compare it."""
    from medimeta.errors import UsageError
    from medimeta.learning.predictions import fitted, read_predictions
    from medimeta.store.lookup import task as known_task

    found = read_predictions(file, task, split=split, root=root, one_vs_rest=one_vs_rest)
    if split not in found:
        raise UsageError(f"{file}: has no predictions of {split}, but of {', '.join(found)}. Pass one as --split.")
    predictions = found[split]
    card = known_task(predictions.task, root)
    if root is not None or predictions.labels is None or (by_subject and predictions.subjects is None):
        from medimeta.store.reader import resolve_task

        stored, _ = resolve_task(predictions.task, root)
        card = stored.info.task(card.name)
        predictions = fitted(predictions, stored, card)
    if by_subject and predictions.subjects is None:
        raise UsageError(f"{card.id}: its source tells no patients, so only images can be drawn: pass --by-image.")
    return card, predictions


def _labels(predictions: Predictions) -> Any:
    return predictions.labels
