"""A flag for every setting of a training, made from `TrainConfig`, for every verb that trains."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Annotated, Any, get_type_hints

import typer

from medimeta.learning.config import TrainConfig
from medimeta.learning.settings import Setting, settings_of

AXES = ("backbone", "weights", "seed")  # of these there may be several, so that they have flags of their own
Path = tuple[str, ...]


def training_flags(command: Callable[..., int]) -> Callable[..., int]:
    """Give a command a flag for every setting of a training.

    What was given reaches it as the argument `training`, a mapping for `TrainConfig.changed`; the flags stand in its
    place. A setting whose flag is not given is left to a file, or to the protocol.
    """
    flags = {"_".join(path[-1:]): (path, setting) for path, setting in settings_with_flags()}
    hints = get_type_hints(command, include_extras=True)
    parameters = []
    for name, parameter in inspect.signature(command).parameters.items():
        if name == "training":
            parameters += [_parameter(flag, setting) for flag, (_, setting) in flags.items()]
        else:
            kind = inspect.Parameter.KEYWORD_ONLY
            parameters.append(parameter.replace(annotation=hints[name], kind=kind))

    @wraps(command)
    def called(**values: Any) -> int:
        training: dict[str, Any] = {}
        for flag, (path, _) in flags.items():
            value = values.pop(flag)
            if value is not None:
                place = training
                for name in path[:-1]:
                    place = place.setdefault(name, {})
                place[path[-1]] = value
        return command(**values, training=training)

    signed: Any = called
    signed.__signature__ = inspect.Signature(parameters, return_annotation=int)
    signed.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return called


def settings_with_flags(kind: type = TrainConfig, prefix: Path = ()) -> list[tuple[Path, Setting]]:
    """Return every setting that has a flag of its name, with the names that lead to it, nested ones in their place."""
    found: list[tuple[Path, Setting]] = []
    for setting in settings_of(kind):
        path = (*prefix, setting.name)
        if setting.nested:
            found += settings_with_flags(setting.kind, path)
        elif path[0] not in AXES:
            found.append((path, setting))
    return found


def _parameter(name: str, setting: Setting) -> inspect.Parameter:
    words = f"[{'|'.join(setting.words)}]" if setting.words else None
    option = typer.Option(f"--{name.replace('_', '-')}", help=_help(name, setting), show_default=False, metavar=words)
    kind: Any = setting.kind
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[kind | None, option]
    )


def _help(name: str, setting: Setting) -> str:
    protocol: Mapping[str, Any] = TrainConfig().as_dict()
    default = protocol[name] if name in protocol else protocol["augmentation"][name]
    if name == "learning_rate":
        return f"{setting.help} The protocol has 0.001 for resnet18, and 0.0001 for others."
    if name == "precision":
        return f"{setting.help} Without, the fastest that is safe here."
    return (
        f"{setting.help} The protocol has {default:.3g}."
        if isinstance(default, float)
        else (f"{setting.help} The protocol has {default}.")
    )
