"""From a grid to its cells; everything that can be wrong with them is told before anything is trained."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

from medimeta.benchmark.cell import Cell
from medimeta.benchmark.grid import ALL, BUILT, Grid
from medimeta.benchmark.methods import Choice, Method, methods
from medimeta.benchmark.origins import Origin, origin
from medimeta.benchmark.pretraining import Pretraining, plan_pretraining
from medimeta.catalogue.catalogue import default_catalogue
from medimeta.catalogue.schema import DatasetCard, TaskCard
from medimeta.errors import DatasetNotFoundError, MedimetaError, UsageError, problems_error, unknown_name
from medimeta.learning.backbones import check_backbone, make_backbone
from medimeta.store.reader import StoredDataset, not_built, resolve_task, stored_datasets


@dataclass(frozen=True)
class Plan:
    """The cells of a grid, and what of it is not there.

    Attributes
    ----------
    cells : tuple of Cell
        In the order of the grid: by task, backbone, weights, method, shots and seed.
    missing : tuple of MedimetaError
        One for all datasets that are not under the root, and what cannot be pre-trained for want of others.
    pretraining : mapping of str to Pretraining
        What must be pre-trained for a cell, by the cell's name.
    """

    cells: tuple[Cell, ...]
    missing: tuple[MedimetaError, ...] = ()
    pretraining: Mapping[str, Pretraining] = field(default_factory=dict)

    def raise_for_missing(self) -> None:
        """Raise an error where a dataset is missing; it names all of them."""
        if self.missing:
            raise together(self.missing, "Build what is missing, or name what there is, as by: --datasets built")


def plan_grid(grid: Grid, root: Path, known: Mapping[str, Method] | None = None) -> Plan:
    """Lay out a grid.

    Parameters
    ----------
    grid : Grid
        What is to be run.
    root : Path
        Where the datasets lie.
    known : mapping of str to Method, optional
        The methods that the grid may name; those of `methods` without it.

    Raises
    ------
    UnknownNameError, WeightsError, DamagedStoreError, UsageError
        Names, files, datasets or settings that are not usable: all of them at once.
    """
    known = methods() if known is None else known
    errors: list[MedimetaError] = []
    gone: dict[DatasetCard, None] = {}
    tasks: list[tuple[StoredDataset, TaskCard]] = []
    opened: dict[Path, StoredDataset] = {}
    for name in _named(grid, root):
        try:
            stored, card = resolve_task(name, root)
        except DatasetNotFoundError:
            gone[default_catalogue().dataset(name.partition("/")[0])] = None
        except MedimetaError as error:
            errors.append(error)
        else:
            stored = opened.setdefault(stored.folder, stored)
            tasks.append((stored, card or stored.info.tasks[0]))
    missing: list[MedimetaError] = [not_built(list(gone), root)] if gone else []
    for backbone in grid.backbones:
        errors += _told(check_backbone, backbone)
    origins: list[Origin] = []
    for weights in grid.weights:
        errors += _told(lambda weights=weights: origins.append(origin(weights)))
    errors += [unknown_name("method", name, known) for name in grid.methods if name not in known]
    choices = {name: _choices(grid, known[name]) for name in grid.methods if name in known}
    for name, own in choices.items():  # settings are judged for one choice: they are the same for all
        errors += _told(known[name].config, own[0], grid)
    if errors:
        raise together(errors)
    cells = [
        Cell(stored, task, name, known[name].config(choice._replace(weights=start.weights), grid), start)
        for stored, task in dict.fromkeys(tasks)
        for backbone in grid.backbones
        for start in origins
        for name, own in choices.items()
        for choice in own
        if choice.backbone == backbone
    ]
    cells = list({cell.name: cell for cell in cells}.values())
    try:
        pretraining = plan_pretraining([cell for cell in cells if cell.origin.pending], grid)
    except MedimetaError as error:
        if not missing:
            raise
        # What is missing may be just what there is to learn from, and then that is told, too.
        return Plan(tuple(cells), (*missing, error))
    return Plan(tuple(cells), tuple(missing), pretraining)


def check_cells(cells: Sequence[Cell], known: Mapping[str, Method]) -> None:
    """See that the data and the weights of cells are enough to run them.

    Raises
    ------
    MedimetaError
        What is wrong, all of it at once.
    """
    errors = _errors_of_data(cells, known)
    for cell in {(cell.config.backbone, cell.origin): cell for cell in cells if not cell.origin.pending}.values():
        errors += _told(_load_weights, cell)
    if errors:
        raise together(errors)


def problems_of(cells: Sequence[Cell], known: Mapping[str, Method]) -> list[str]:
    """Return what is wrong with the data of cells; weights are not looked at, as that could fetch them."""
    return [str(error) for error in _errors_of_data(cells, known)]


def _errors_of_data(cells: Sequence[Cell], known: Mapping[str, Method]) -> list[MedimetaError]:
    errors: list[MedimetaError] = []
    for cell in {(cell.task, cell.method, cell.shots): cell for cell in cells}.values():
        errors += _told(known[cell.method].check, cell)
    return errors


def together(errors: Sequence[MedimetaError], way_out: str = "") -> MedimetaError:
    """Return one error for several: of their kind where they are of one, else UsageError where one of them is."""
    if len(errors) == 1 and not way_out:
        return errors[0]
    kinds = {type(error) for error in errors}
    if len(kinds) == 1:
        kind = kinds.pop()
    else:
        kind = UsageError if any(error.exit_code == UsageError.exit_code for error in errors) else MedimetaError
    told = list(dict.fromkeys(str(error).replace("\n", "\n    ") for error in errors))
    return problems_error(kind, "the grid cannot be run:", told, way_out)


def _named(grid: Grid, root: Path) -> list[str]:
    """Return the tasks that a grid names: ``dataset/task``, or a dataset for its primary task."""
    names: list[str] = []
    for name in grid.datasets:
        if name == ALL:
            names += [card.id for card in default_catalogue().datasets()]
        elif name == BUILT:
            built = [folder.name for folder in stored_datasets(root)]
            if not built:
                raise DatasetNotFoundError(f"{root}: there is no dataset here. Pass --root, or build one first.")
            names += built
        else:
            names.append(name)
    return list(dict.fromkeys([*names, *grid.tasks]))


def _choices(grid: Grid, method: Method) -> list[Choice]:
    shots: Iterable[int | None] = grid.shots if method.few_shot else [None]
    return [
        Choice(backbone, "imagenet", seed, count)
        for backbone in grid.backbones
        for count in shots
        for seed in grid.seeds
    ]


def _told(call: Callable[..., object], *arguments: object) -> list[MedimetaError]:
    """Return the error of a call, if it has one."""
    try:
        call(*arguments)
    except MedimetaError as error:
        return [error]
    return []


def _load_weights(cell: Cell) -> None:
    with torch.random.fork_rng(devices=[]):
        make_backbone(cell.config.backbone, pretrained=cell.origin.weights == "imagenet", weights=cell.origin.file)
