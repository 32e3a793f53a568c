"""Settings that people write: dataclasses whose every field is checked, read from YAML, and explained from one place.

The type of a field says what it may hold: a truth value, a number within `Bounds`, one of some words, further settings,
or nothing; a number or two, as bounds; numbers by name. Its line in the docstring of the class is also the help of its
flag.
"""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import inspect
import json
import numbers
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import yaml

from medimeta._numbers import Bounds as Bounds
from medimeta._numbers import shown
from medimeta.catalogue.reading import SafeLoader
from medimeta.errors import UsageError, problems_error

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

MAX_BYTES = 1_000_000
Settings = TypeVar("Settings", bound="DataclassInstance")


@dataclass(frozen=True)
class Words:
    """The words that a text may be, or the numbers; without any, all."""

    known: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Setting:
    """One setting.

    Attributes
    ----------
    name : str
        Of the field.
    kind : type
        bool, int, float, str, or a dataclass of further settings.
    bounds : Bounds
        Of a number.
    words : tuple of str or int
        What a text or a number may be; without any, all.
    help : str
        Its description.
    optional, pair, by_name : bool
        Whether it may be None; two in ascending order; and whether it is a mapping of names to such values.
    """

    name: str
    kind: type
    bounds: Bounds
    words: tuple[Any, ...]
    help: str
    optional: bool = False
    pair: bool = False
    by_name: bool = False

    @property
    def nested(self) -> bool:
        """Whether it consists of further settings."""
        return dataclasses.is_dataclass(self.kind)

    def read(self, value: Any, *, text: bool = False) -> Any:
        """Return a value as its type.

        Parameters
        ----------
        value : object
            The value.
        text : bool
            Whether numbers may be written as text, and words that YAML takes for truth values are put right: it reads
            1e-3 as text, and on as true.

        Raises
        ------
        ValueError
            The setting cannot be that; the message goes on after "must be".
        """
        if value is None and self.optional:
            return None
        if self.by_name:
            return self._read_by_name(value, text=text)
        if self.pair and isinstance(value, (list, tuple)):
            pair = tuple(dataclasses.replace(self, pair=False).read(each, text=text) for each in value)
            if len(pair) != 2 or pair[0] > pair[1]:
                raise ValueError(f"a number, or two in ascending order, got {shown(value)}")
            return pair
        if self.nested or self.kind is bool:
            if not isinstance(value, self.kind):
                raise ValueError(f"{'settings by name' if self.nested else 'True or False'}, got {shown(value)}")
            return value
        if self.kind not in (int, float, str):  # of someone's subclass
            return value
        if text and self.kind in (int, float) and isinstance(value, str):
            value = _number(value)
        if text and self.words and isinstance(value, bool):
            value = "on" if value else "off"
        if self.words and value not in self.words:
            raise ValueError(f"one of {', '.join(map(str, self.words))}, got {shown(value)}")
        if self.kind is str:
            if not isinstance(value, str):
                raise ValueError(f"text, got {shown(value)}")
            return str(value)
        fits: type = numbers.Integral if self.kind is int else numbers.Real
        if isinstance(value, bool) or not isinstance(value, fits):
            raise ValueError(f"a {'whole ' if self.kind is int else ''}number, got {shown(value)}")
        number: Any = value
        if number not in self.bounds:
            raise ValueError(f"{self.bounds}, got {shown(value)}")
        return self.kind(number)

    def _read_by_name(self, values: Any, *, text: bool) -> dict[str, Any]:
        if not isinstance(values, Mapping):
            raise ValueError(f"values by name, got {shown(values)}")
        one = dataclasses.replace(self, by_name=False)
        found: dict[str, Any] = {}
        problems = []
        for name, value in values.items():
            try:
                found[str(name)] = one.read(value, text=text)
            except ValueError as error:
                problems.append(f"{error} for {name}")
        if problems:
            raise ValueError(", and ".join(problems))
        return found


@cache
def settings_of(kind: type) -> tuple[Setting, ...]:
    """Return the settings that a dataclass holds, in order.

    Examples
    --------
    >>> @dataclass(frozen=True)
    ... class Example:
    ...     '''Settings of nothing.
    ...
    ...     Attributes
    ...     ----------
    ...     share : float
    ...         Of the whole.
    ...     '''
    ...     share: Annotated[float, Bounds(0, 1)] = 0.5
    >>> setting = settings_of(Example)[0]
    >>> setting.name, setting.help, str(setting.bounds)
    ('share', 'Of the whole.', 'from 0 to 1')
    """
    hints = get_type_hints(kind, include_extras=True)
    texts = _described(kind)
    return tuple(
        setting(field.name, hints[field.name], texts.get(field.name, "")) for field in dataclasses.fields(kind)
    )


def check(settings: Any, headline: str) -> None:
    """Check every field of a frozen dataclass, and give it its type, so that equal settings are equal.

    Raises
    ------
    UsageError
        Fields cannot have their values; all are told at once.
    """
    problems = []
    kind: type = type(settings)
    for setting in settings_of(kind):
        try:
            object.__setattr__(settings, setting.name, setting.read(getattr(settings, setting.name)))
        except ValueError as error:
            problems.append(f"{setting.name} must be {error}")
    if problems:
        raise problems_error(UsageError, headline, problems)


def digest_of(settings: Mapping[str, Any]) -> str:
    """Return the SHA-256 of plain settings: equal for equal ones.

    Examples
    --------
    >>> digest_of({"seed": 1, "shots": 5}) == digest_of({"shots": 5, "seed": 1})
    True
    """
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


def read_settings(kind: type, source: Mapping[str, Any] | str | Path, place: str = "the settings") -> dict[str, Any]:
    """Read settings of a dataclass, some or all, from plain values or a YAML file.

    Parameters
    ----------
    kind : type
        The dataclass.
    source : mapping, str or Path
        Values by name, those of a nested field in a mapping of their own; or the path of a YAML file of them.
    place : str
        What messages call a mapping; a file is called by its path.

    Returns
    -------
    dict
        The settings, with their types.

    Raises
    ------
    UsageError
        The file does not read, has settings that there are not, or values that cannot be; all are told at once.
    """
    if not isinstance(source, Mapping):
        place, source = str(source), _read_yaml(Path(source))
    problems: list[str] = []
    found = _read(kind, source, "", problems)
    if problems:
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        raise problems_error(UsageError, f"{place}: {count}:", problems)
    return found


def changed(config: Settings, settings: Mapping[str, Any], place: str) -> Settings:
    """Return a copy of a dataclass with other settings, as `read_settings` reads them; nested ones change by name."""
    values = read_settings(type(config), settings, place)
    for name, value in values.items():
        old = getattr(config, name)
        if dataclasses.is_dataclass(old) and isinstance(value, Mapping):
            values[name] = dataclasses.replace(old, **value)  # type: ignore[type-var]
    return dataclasses.replace(config, **values)


def merged(settings: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings with others put over them, name by name; nested ones too.

    Examples
    --------
    >>> merged({"seed": 1, "augmentation": {"crop": 0, "rotation": 3}}, {"augmentation": {"rotation": 5}})
    {'seed': 1, 'augmentation': {'crop': 0, 'rotation': 5}}
    """
    found = dict(settings)
    for name, value in more.items():
        old = found.get(name)
        found[name] = merged(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return found


def _read(kind: type, values: Mapping[Any, Any], prefix: str, problems: list[str]) -> dict[str, Any]:
    known = {setting.name: setting for setting in settings_of(kind)}
    found: dict[str, Any] = {}
    for name, value in values.items():
        setting = known.get(str(name).replace("-", "_"))
        if setting is None:
            problems.append(f"{prefix}{name}: there is no such setting.{_near(str(name), kind, prefix)}")
        elif setting.nested and isinstance(value, Mapping):
            found[setting.name] = _read(setting.kind, value, f"{prefix}{setting.name}.", problems)
        else:
            try:
                found[setting.name] = setting.read(value, text=True)
            except ValueError as error:
                problems.append(f"{prefix}{setting.name} must be {error}")
    return found


def _near(name: str, kind: type, prefix: str) -> str:
    """Offer names near an unknown one, those of nested settings included; all names where none is near."""
    names = [prefix + setting.name for setting in settings_of(kind)]
    for setting in settings_of(kind):
        if setting.nested:
            names += [f"{prefix}{setting.name}.{inner.name}" for inner in settings_of(setting.kind)]
    by_last = {full.rpartition(".")[2]: full for full in reversed(names)}
    near = difflib.get_close_matches(name.replace("-", "_").casefold(), by_last, n=1)
    if near:
        return f" Did you mean {by_last[near[0]]!r}?"
    return f" There are: {', '.join(names)}."


def _read_yaml(path: Path) -> Mapping[Any, Any]:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}).") from error
    if len(data) > MAX_BYTES:
        raise UsageError(f"{path}: is longer than the {MAX_BYTES:,} bytes that settings may have.")
    try:
        raw = yaml.load(data.decode("utf-8-sig"), Loader=SafeLoader)  # noqa: S506 - CSafeLoader is safe_load in C
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise UsageError(f"{path}: is not valid YAML: {' '.join(str(error).split())}") from error
    if raw is None:
        return {}
    if not isinstance(raw, dict):
        raise UsageError(f"{path}: must be a mapping of settings, got {type(raw).__name__}.")
    return raw


def setting(name: str, hint: Any, text: str = "") -> Setting:
    """Return the setting that a type describes.

    Examples
    --------
    >>> setting("seed", Annotated[int, Bounds(least=0)]).read(7)
    7
    """
    parts = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    optional, pair = NoneType in parts, any(get_origin(part) is tuple for part in parts)
    hint = next(part for part in parts if part is not NoneType and get_origin(part) is not tuple)
    by_name = get_origin(hint) is Mapping
    hint = get_args(hint)[1] if by_name else hint
    bounds, words = Bounds(), Words()
    if get_origin(hint) is Annotated:
        hint, *extras = get_args(hint)
        for extra in extras:
            bounds = extra if isinstance(extra, Bounds) else bounds
            words = extra if isinstance(extra, Words) else words
    if get_origin(hint) is Literal:
        words = Words(get_args(hint))
        hint = type(words.known[0])
    return Setting(name, hint, bounds, words.known, text, optional, pair, by_name)


def _described(kind: type) -> dict[str, str]:
    """Return the lines of the section Attributes of a class's docstring, by name."""
    text = inspect.cleandoc(kind.__doc__ or "").partition("Attributes\n----------\n")[2]
    found: dict[str, str] = {}
    for block in re.finditer(r"^(\w[\w, ]*) : .*\n((?:    .*(?:\n|$))*)", text, re.MULTILINE):
        described = " ".join(block[2].split()).replace("`", "").replace('"', "")
        found |= dict.fromkeys(re.split(r", *", block[1]), described)
    return found


def _number(text: str) -> Any:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
