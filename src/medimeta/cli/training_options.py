"""A flag for every setting of a training or pre-training, made from its config, for every verb that trains."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection
from functools import wraps
from typing import Annotated, Any, get_type_hints

import typer

from medimeta.learning.config import TrainConfig
from medimeta.learning.settings import Setting, settings_of

AXES = ("backbone", "weights", "seed")  # of these there may be several, so that they have flags of their own
Path = tuple[str, ...]


Command = Callable[..., int]


def training_flags(command: Command) -> Command:
    """Give a command a flag for every setting of a training, as its argument `training`; see `setting_flags`."""
    return setting_flags(TrainConfig, "training")(command)


def setting_flags(kind: type, argument: str, apart: Collection[str] = AXES) -> Callable[[Command], Command]:
    """Give a command a flag for every setting of a config, but those apart.

    What was given reaches it as one argument, a mapping for the `changed` of the config; the flags stand in its place.
    A setting whose flag is not given is left to a file, or to the protocol.
    """
    flags = {path[-1]: (path, setting) for path, setting in settings_with_flags(kind, apart)}
    made = [_parameter(kind, path, setting) for path, setting in flags.values()]
    return lambda command: _with_flags(command, argument, flags, made)


def _with_flags(
    command: Command, argument: str, flags: dict[str, tuple[Path, Setting]], made: list[inspect.Parameter]
) -> Command:
    hints = get_type_hints(command, include_extras=True)
    parameters = []
    for name, parameter in inspect.signature(command).parameters.items():
        if name == argument:
            parameters += made
        else:
            kind = inspect.Parameter.KEYWORD_ONLY
            parameters.append(parameter.replace(annotation=hints[name], kind=kind))

    @wraps(command)
    def called(**values: Any) -> int:
        given: dict[str, Any] = {}
        for flag, (path, _) in flags.items():
            value = values.pop(flag)
            if value is not None:
                place = given
                for name in path[:-1]:
                    place = place.setdefault(name, {})
                place[path[-1]] = value
        return command(**values, **{argument: given})

    signed: Any = called
    signed.__signature__ = inspect.Signature(parameters, return_annotation=int)
    signed.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return called


def settings_with_flags(
    kind: type = TrainConfig, apart: Collection[str] = AXES, prefix: Path = ()
) -> list[tuple[Path, Setting]]:
    """Return every setting that has a flag of its name, with the names that lead to it, nested ones in their place."""
    found: list[tuple[Path, Setting]] = []
    for setting in settings_of(kind):
        path = (*prefix, setting.name)
        if setting.nested:
            found += settings_with_flags(setting.kind, apart, path)
        elif path[0] not in apart:
            found.append((path, setting))
    return found


def _parameter(kind: type, path: Path, setting: Setting) -> inspect.Parameter:
    name = setting.name
    words = f"[{'|'.join(map(str, setting.words))}]" if setting.words else None
    help_ = _help(kind, path, setting)
    option = typer.Option(f"--{name.replace('_', '-')}", help=help_, show_default=False, metavar=words)
    of: Any = setting.kind
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[of | None, option]
    )


def _help(kind: type, path: Path, setting: Setting) -> str:
    if setting.name == "precision":
        return f"{setting.help} Without, the fastest that is safe here."
    if kind is TrainConfig and setting.name == "learning_rate":
        return f"{setting.help} The protocol has 0.001 for resnet18, and 0.0001 for others."
    default = kind()
    for name in path:
        default = getattr(default, name)
    shown = f"{default:.3g}" if isinstance(default, float) else default
    return setting.help if default is None else f"{setting.help} The protocol has {shown}."
