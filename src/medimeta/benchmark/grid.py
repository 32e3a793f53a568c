"""What a benchmark runs: a frozen description, from a YAML file, a preset or flags."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from medimeta._files import as_path
from medimeta._numbers import shown
from medimeta.catalogue.reading import SafeLoader
from medimeta.errors import UsageError, problems_error, unknown_name
from medimeta.learning.config import Count, Seed
from medimeta.learning.settings import Setting, merged, setting

ALL, BUILT = "all", "built"  # instead of names of datasets
ORIGINS = ("imagenet", "none", "multi-domain", "maml")  # of weights; anything else is a file
MAX_BYTES = 1_000_000
_PRESETS = files("medimeta.benchmark") / "presets"


@dataclass(frozen=True)
class Grid:
    """Every combination of tasks, backbones, weights, methods, seeds and, for few-shot methods, shots.

    Attributes
    ----------
    datasets : tuple of str
        Datasets, by their primary task; ``("all",)`` is the catalogue, ``("built",)`` what lies under the root.
    tasks : tuple of str
        Tasks as ``dataset/task``.
    backbones : tuple of str
        Names that timm knows.
    weights : tuple of str
        Where backbones start from: ``"imagenet"``, ``"none"``, ``"multi-domain"`` or ``"maml"``, which are pre-trained
        for each target first, or a file.
    methods : tuple of str
        ``"supervised"``, or a few-shot method.
    shots : tuple of int
        Labelled images a class; few-shot methods only.
    seeds : tuple of int
        One run each.
    training, few_shot, pretraining : mapping
        Settings other than the protocol's: fields of `TrainConfig`, `FewShotConfig` and `PretrainConfig`; the latter
        also has ``datasets`` to choose from.

    Raises
    ------
    UsageError
        A field cannot have its value; all of these are told at once.

    Examples
    --------
    >>> Grid(datasets=("bus",), seeds=(0, 1)).backbones
    ('resnet18',)
    """

    datasets: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()
    backbones: tuple[str, ...] = ("resnet18",)
    weights: tuple[str, ...] = ("imagenet",)
    methods: tuple[str, ...] = ("supervised",)
    shots: tuple[int, ...] = (5,)
    seeds: tuple[int, ...] = (0,)
    training: Mapping[str, Any] = field(default_factory=dict)
    few_shot: Mapping[str, Any] = field(default_factory=dict)
    pretraining: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        problems = []
        for name, read in _READERS.items():
            try:
                object.__setattr__(self, name, read(getattr(self, name)))
            except ValueError as error:
                problems.append(f"{name}: {error}")
        if problems:
            raise problems_error(UsageError, "the grid cannot be run:", problems)
        problems = [f"{name} is empty: name at least one" for name in AXES if not getattr(self, name)]
        if not self.datasets and not self.tasks:
            problems.append("datasets and tasks are empty: name at least one")
        for section, axes in SET_BY_AXES.items():
            problems += [
                f"{section}: {name} is an axis of the grid: write it there, as {axes[name]}"
                for name in getattr(self, section)
                if name in axes
            ]
        if problems:
            raise problems_error(UsageError, "the grid cannot be run:", problems)


AXES = ("backbones", "weights", "methods", "shots", "seeds")
SECTIONS = ("training", "few_shot", "pretraining")
SET_BY_AXES = {
    "training": {"backbone": "backbones", "weights": "weights", "seed": "seeds"},
    "few_shot": {
        "method": "methods",
        "backbone": "backbones",
        "weights": "weights",
        "shots": "shots",
        "seed": "seeds",
    },
    "pretraining": {"method": "weights", "backbone": "backbones"},
}


def presets() -> tuple[str, ...]:
    """Return the names of the grids that come with the package.

    Examples
    --------
    >>> presets()
    ('paper', 'paper-fewshot')
    """
    return tuple(sorted(file.name.removesuffix(".yaml") for file in _PRESETS.iterdir() if file.name.endswith(".yaml")))


def preset(name: str) -> dict[str, Any]:
    """Return the fields of a grid that comes with the package.

    Raises
    ------
    UnknownNameError
        There is no such preset.

    Examples
    --------
    >>> preset("paper")["backbones"]
    ['resnet18', 'resnet50']
    """
    if name not in presets():
        raise unknown_name("preset", name, presets())
    return _parse(f"preset {name}", (_PRESETS / f"{name}.yaml").read_bytes())


def read_fields(path: str | Path) -> dict[str, Any]:
    """Read the fields of a grid from a YAML file, for `grid_from`. Weights files are looked for beside it.

    Raises
    ------
    UsageError
        The file does not read.
    """
    path = as_path(path, "grid")
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        hint = "" if path.suffix else f" Datasets are named by --datasets {path.name}."
        raise UsageError(f"{path}: there is no such file of a grid.{hint}") from None
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}).") from error
    read = _parse(str(path), data)
    weights = read.get("weights")
    if isinstance(weights, (str, list)):
        read["weights"] = [_beside(path, name) for name in ([weights] if isinstance(weights, str) else weights)]
    return read


def changed(given: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return fields of a grid with other values; settings are added to those that are there.

    Naming datasets or tasks replaces both: what is named is all that is meant.

    Examples
    --------
    >>> changed({"datasets": "all", "training": {"patience": 3}}, {"tasks": "bus", "training": {"max_epochs": 2}})
    {'training': {'patience': 3, 'max_epochs': 2}, 'tasks': 'bus'}
    """
    named = {"datasets", "tasks"}
    kept = {name: value for name, value in given.items() if not (values.keys() & named and name in named)}
    for name, value in values.items():
        old = kept.get(name)
        kept[name] = merged(old, value) if name in SECTIONS and isinstance(old, Mapping) else value
    return kept


def grid_from(values: Mapping[str, Any], place: str = "the grid") -> Grid:
    """Make a grid of plain values; a single value may stand for a list of one.

    Parameters
    ----------
    values : mapping
        Fields of `Grid`.
    place : str
        What messages call it.

    Raises
    ------
    UsageError
        Fields that there are not, with names near them, and values that cannot be; all are told at once.

    Examples
    --------
    >>> grid_from({"datasets": "bus", "seeds": [0, 1]}).seeds
    (0, 1)
    >>> grid_from({"dataset": "bus", "seeds": "one"})
    Traceback (most recent call last):
    ...
    medimeta.errors.UsageError: the grid: 2 problems:
      - dataset: there is no such field. Did you mean 'datasets'?
      - seeds: must be a whole number, got 'one'
    """
    if not isinstance(values, Mapping):
        raise UsageError(f"{place} must be a Grid, its fields by name, or the path of a file, got {shown(values)}.")
    known = [each.name for each in fields(Grid)]
    problems, read = [], {}
    for name, value in values.items():
        if name not in known:
            problems.append(f"{name}: there is no such field.{_near(str(name), known)}")
            continue
        try:
            read[name] = _READERS[name](value)
        except ValueError as error:
            problems.append(f"{name}: {error}")
    if not problems:
        try:
            return Grid(**read)
        except UsageError as error:
            problems = list(error.problems)
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    raise problems_error(UsageError, f"{place}: {count}:", problems)


def _near(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name.replace("-", "_").casefold(), known, n=1)
    return f" Did you mean {near[0]!r}?" if near else f" There are: {', '.join(known)}."


def _parse(place: str, data: bytes) -> dict[str, Any]:
    if len(data) > MAX_BYTES:
        raise UsageError(f"{place}: is longer than the {MAX_BYTES:,} bytes that a grid may have.")
    try:
        raw = yaml.load(data.decode("utf-8-sig"), Loader=SafeLoader)  # noqa: S506 - CSafeLoader is safe_load in C
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise UsageError(f"{place}: is not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(raw, dict):
        raise UsageError(f"{place}: must be a mapping of fields, got {type(raw).__name__}.")
    return raw


def _beside(path: Path, name: Any) -> Any:
    return name if name in ORIGINS or not isinstance(name, str) else str(path.parent / Path(name).expanduser())


def _listed(of: Setting) -> Callable[[Any], tuple[Any, ...]]:
    """Return what reads values of an axis, one or several."""

    def read(value: Any) -> tuple[Any, ...]:
        found, wrong = [], []
        for item in value if isinstance(value, (list, tuple)) else [value]:
            try:
                found.append(of.read(item))
            except ValueError as error:
                wrong.append(str(error))
        if wrong:
            raise ValueError(f"must be {', and '.join(wrong)}")
        return tuple(dict.fromkeys(found))  # what is named twice is run once

    return read


def _settings(value: Any) -> Mapping[str, Any]:
    if value is None:  # a heading with nothing below it
        return {}
    if not isinstance(value, Mapping):
        raise ValueError(f"expected settings by name, got {value!r}")
    return dict(value)


_READERS: Mapping[str, Callable[[Any], Any]] = {
    **dict.fromkeys(("datasets", "tasks", "backbones", "weights", "methods"), _listed(setting("name", str))),
    "shots": _listed(setting("shots", Count)),
    "seeds": _listed(setting("seed", Seed)),
    **dict.fromkeys(SECTIONS, _settings),
}
