"""From a card of own data and a folder of images to a full card and a recipe: the engine builds it like any other.

Everything that the card leaves out is looked up in the data: labels, counts, splits. What cannot become a dataset is
told before anything is built.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from pydantic import ValidationError

from medimeta.catalogue.own import ColumnRule, FolderCard, LabelRule, OwnCard, TableCard, own_terms
from medimeta.catalogue.own_reading import read_own_card
from medimeta.catalogue.schema import SPLITS, DatasetCard, Samples, TaskCard, TaskTarget, normalised
from medimeta.errors import CountMismatchError, LabelError
from medimeta.recipes.folder import FolderRecipe
from medimeta.recipes.own_recipe import OwnRecipe, natural
from medimeta.recipes.recipe import Options, Recipe, Sample
from medimeta.recipes.refusal import Fault, refuse_misfits
from medimeta.recipes.table import TableRecipe
from medimeta.sources.archive import Archive
from medimeta.sources.find import open_archive
from medimeta.sources.zipped import ZipArchive


def open_own(
    path: str | os.PathLike[str] | FolderCard | TableCard,
    source: str | os.PathLike[str],
    *,
    allow_partial: bool = False,
) -> tuple[DatasetCard, Recipe, Archive]:
    """Read a card of own data, and make the full card by what is in the source.

    Parameters
    ----------
    path : path or card
        The card, a YAML file; see `medimeta.catalogue.own`. One that was read already will do.
    source : path
        The folder of the images, or a zip of it.
    allow_partial : bool
        Whether rows without an image, and images without a row or a class, may be left out.

    Returns
    -------
    DatasetCard
        With the labels found and the true counts. Its notes say what its user should know of the splits.
    Recipe
        Lists and renders the images; it holds the card that was read.
    Archive
        The tree of the images.

    Raises
    ------
    CardError
        The card is not valid; all its problems are told.
    SourceError
        The source is missing, or cannot become a dataset: unknown or too few labels, parts without images, bad rows.
        All of it is told at once. Rows without an image and images without a row are told beside it, but are no error
        by themselves: that is for the build to say.
    """
    own = path if isinstance(path, FolderCard | TableCard) else read_own_card(os.fspath(path))
    archive = open_tree(source)
    recipe = FolderRecipe(own) if isinstance(own, FolderCard) else TableRecipe(own)
    listing = recipe.listing(archive, Options(allow_partial=allow_partial))
    samples = listing.samples[own.id]
    # Where rows cannot be used, labels and parts of the others say little about the whole.
    tasks, problems = _tasks(recipe, samples, archive, whole=not listing.unusable)
    faults = [Fault("the labels are no task yet", LabelError, problems)] if problems else []
    splits = [] if listing.unusable or faults else recipe.splits(own.id, samples)
    faults += _split_faults(samples, splits)
    if listing.unusable or faults:
        refuse_misfits(listing, archive.where(""), allow_partial=allow_partial, way_out=recipe.way_out, further=faults)
    counts, given = Counter(splits), Counter(sample.original_split for sample in samples)
    kinds = ", ".join(f"{task.name} ({task.target.word})" for task in tasks)
    card = DatasetCard(
        id=own.id,
        name=own.name or own.id.replace("_", " "),
        domain=own.domain,
        channels=own.channels,
        summary=own.summary or f"Own data: {len(samples):,} images. To be predicted: {kinds}.",
        released_licence=own.licence,
        own_licence=own_terms(own.licence, own.commercial),
        samples=Samples(total=len(samples), **{split: counts[split] for split in SPLITS}),
        original_samples=Samples(total=len(samples), **{split: given[split] for split in SPLITS}),
        primary_task=tasks[0].name,
        tasks=tasks,
        recipe=own.recipe,
        subject_column=recipe.subject_column,
        notes=tuple(_notes(own, samples, splits)),
    )
    return card, recipe, archive


def open_tree(source: str | os.PathLike[str]) -> Archive:
    """Open a folder or a zip of own data.

    Of a zip, the one folder that packers put at its top is left out, unless it may be a class itself.

    Raises
    ------
    SourceNotFoundError, DamagedSourceError
        There is no such folder or file, or it is no zip.
    """
    archive = open_archive(source)
    while isinstance(archive, ZipArchive) and not archive.files() and len(archive.folders()) == 1:
        [top] = archive.folders()
        inner = archive.within(f"{top}/")
        if not inner.folders():
            break
        archive = inner
    return archive


def left_out(recipe: Recipe, archive: Archive) -> Iterator[str]:
    """Say what a build would refuse to leave out unless it is allowed to."""
    listing = recipe.listing(archive, Options(allow_partial=True))
    for places in (listing.missing, listing.unnamed):
        if places:
            yield f"A build needs --allow-partial, as it would leave out {_images(len(places))}: {places[0]}" + (
                ", ..." if len(places) > 1 else "."
            )


def _tasks(
    recipe: OwnRecipe, samples: Sequence[Sample], archive: Archive, *, whole: bool
) -> tuple[tuple[TaskCard, ...], list[str]]:
    """Return the tasks that can be made, and what is wrong with the labels; of the whole only where that is known."""
    tasks: list[TaskCard] = []
    problems: list[str] = []
    for number, (name, rule) in enumerate(recipe.card.rules.items()):
        found = _found(name, samples)
        names, wrong, amiss = _labels(rule, found, [archive.where(sample.member) for sample in samples])
        wrong += amiss if whole else ()
        if not wrong and whole:
            target = rule.target or _target(rule, names)
            try:
                tasks.append(
                    TaskCard(dataset=recipe.card.id, name=name, target=target, labels=names, primary=number == 0)
                )
            except ValidationError as error:
                wrong = [detail["msg"].removeprefix("Value error, ") for detail in error.errors(include_url=False)]
        problems += [f"{name}: {problem}" for problem in wrong]
    return tuple(tasks), problems


_Found = dict[str | int, list[int]]


def _found(task: str, samples: Sequence[Sample]) -> _Found:
    """Return the places of the samples of every label, labels sorted."""
    found: _Found = {}
    for index, sample in enumerate(samples):
        label = sample.labels[task]
        for each in label if isinstance(label, frozenset) else (label,):
            found.setdefault(each, []).append(index)
    return dict(sorted(found.items(), key=lambda item: natural(item[0])))


def _target(rule: LabelRule, names: Mapping[int, str]) -> TaskTarget:
    if isinstance(rule, ColumnRule) and rule.several:
        return TaskTarget.MULTILABEL
    return TaskTarget.BINARY if len(names) == 2 else TaskTarget.MULTICLASS


def _labels(rule: LabelRule, found: _Found, places: Sequence[str]) -> tuple[dict[int, str], list[str], list[str]]:
    """Return the stored integers of the labels, those that are unknown, and what else keeps these from being a task."""
    ordinal = rule.target is TaskTarget.ORDINAL
    several = isinstance(rule, ColumnRule) and rule.several
    if rule.labels is None and isinstance(rule, ColumnRule) and rule.columns:
        names = dict(enumerate(rule.columns))
    elif rule.labels is None and ordinal:
        names = {grade: str(grade) for grade in found if isinstance(grade, int)}
    elif rule.labels is None:
        names = dict(enumerate(map(str, found)))
    else:
        names = (rule.grades if ordinal else None) or dict(enumerate(rule.names))
    known = set(names) if ordinal else set(names.values())
    unknown: list[str] = []
    problems: list[str] = []
    for label, own in found.items():
        if label not in known:
            place = f"{_images(len(own))}, the first is {places[own[0]]}"
            if ordinal and rule.labels is None:
                unknown.append(f"{label!r} is no whole number ({place}); name the grades in their order under labels")
            else:
                unknown.append(f"{label!r} is not under labels ({place})")
    if rule.labels is not None and not several:
        unused = [name for key, name in names.items() if (key if ordinal else name) not in found]
        problems += [f"no image has the label {name!r}" for name in unused]
    if len(names) == 1 and not several and not unknown and not problems:
        below = isinstance(rule, FolderCard)
        problems.append(
            f"every image has the label {next(iter(names.values()))!r}, and a task needs two or more"
            + ("; if the classes are folders in it, name that folder as the source" if below else "")
        )
    if rule.target is TaskTarget.BINARY and len(names) > 2:
        problems.append(f"a binary task has two labels, not {len(names)}: {', '.join(map(repr, names.values()))}")
    if several and not found:
        problems.append("no image has a label")
    if len(names) == len(places) > 2 and not several:
        problems.append(f"every image has a label of its own, such as {names[min(names)]!r}: they cannot be learned")
    folded = Counter(normalised(name) for name in names.values())
    alike = [repr(name) for name in names.values() if folded[normalised(name)] > 1]
    if alike:
        problems.append(f"the labels {' and '.join(alike)} are the same but for case or blanks; map them under labels")
    return names, unknown, problems


def _split_faults(samples: Sequence[Sample], splits: Sequence[str]) -> Iterator[Fault]:
    """Say what keeps samples from being split into train, val and test; `splits` is empty where it is not known yet."""
    problems = []
    given: dict[str, set[str]] = {}
    for sample in samples:
        if sample.group is not None:
            given.setdefault(str(sample.group), set()).add(sample.original_split)
    torn = [group for group, parts in given.items() if len(parts) > 1]
    problems += [f"group {group} is in {' and '.join(sorted(given[group]))} of the source" for group in torn]
    groups = f" in {len(given)} groups" if given else ""
    if splits:
        problems += [f"{split} has no image (of {len(samples)}{groups})" for split in SPLITS if split not in splits]
    if problems:
        way_out = "Move images of one group into one split, or leave group out of the card." if torn else "Add images."
        yield Fault("cannot be split into train, val and test", CountMismatchError, problems, way_out)


def _notes(own: OwnCard, samples: Sequence[Sample], splits: Sequence[str]) -> Iterator[str]:
    """Say what a user of the dataset should know of its splits."""
    given = {sample.original_split for sample in samples}
    if len(given) == 2 and "train" in given:
        [second] = given - {"train"}
        yield f"The source has train and {second} only: {second} is the test split, and val was cut from train."
    if len(given) == 1 and samples[0].group is None:
        yield "The splits are at random by image: with several images of one person, name a group, such as the patient."
    for task in own.rules:
        for label, found in _found(task, samples).items():
            parts = {splits[index] for index in found}
            absent = [split for split in SPLITS if split not in parts]
            if absent:
                yield f"{task}: {label} has {_images(len(found))}, none of them in {' or '.join(absent)}."


def _images(count: int) -> str:
    return "1 image" if count == 1 else f"{count} images"
