"""Options that several verbs share, each written once."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import typer

from medimeta._numbers import PARALLEL, shown

Root = Annotated[
    Path | None,
    typer.Option(help="Folder of the built datasets. Else $MEDIMETA_ROOT, else ./data.", show_default=False),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
Out = Annotated[Path, typer.Option(help="Folder for results; made if missing.")]
Backbones = Annotated[
    list[str] | None,
    typer.Option("--backbone", help="timm's name of a backbone, resnet18 without; repeat it or separate by commas."),
]
Seeds = Annotated[
    list[str] | None, typer.Option("--seeds", help="Seeds, one run each, 0 without; repeat it or separate by commas.")
]
Pretrained = Annotated[bool, typer.Option("--pretrained/--no-pretrained", help="Start from ImageNet weights.")]
Weights = Annotated[
    Path | None,
    typer.Option(help="Start from a local file: safetensors or a state dict.", show_default=False),
]
Devices = Annotated[
    str,
    typer.Option(
        help="GPUs, or processes on the CPU, that train together. auto: one GPU where there is one, else the CPU."
    ),
]
Nodes = Annotated[int, typer.Option(min=1, help="Nodes of a cluster, each with so many devices.")]
Accelerator = Annotated[Literal["auto", "cpu", "gpu"], typer.Option(help="What to compute on.")]
Log = Annotated[
    Literal["none", "csv", "tensorboard"], typer.Option(help="Write figures of every epoch beside the record, too.")
]


def words(values: Sequence[str] | None, default: Sequence[str] = ()) -> list[str]:
    """Split values of a repeatable option at commas; the default where none was given.

    Examples
    --------
    >>> words(["bus,pbc", "oct"])
    ['bus', 'pbc', 'oct']
    """
    found = [word.strip() for value in values or () for word in value.split(",") if word.strip()]
    return list(dict.fromkeys(found)) or list(default)


def some_words(values: Sequence[str], what: str) -> list[str]:
    """Split values of an argument at commas.

    Raises
    ------
    typer.BadParameter
        There is nothing but commas and blanks.
    """
    found = words(values)
    if not found:
        raise typer.BadParameter(f"names nothing: {', '.join(map(repr, values))}", param_hint=what)
    return found


def numbers(values: Sequence[str] | None, default: Sequence[int], option: str) -> list[int]:
    """Split values of a repeatable option into whole numbers.

    Raises
    ------
    typer.BadParameter
        A value is not a whole number, or there is none.

    Examples
    --------
    >>> numbers(["0,1", "2"], [0], "--seeds")
    [0, 1, 2]
    """
    if not values:
        return list(default)
    found = some_words(values, option)
    wrong = [word for word in found if not re.fullmatch(r"[+-]?\d{1,99}", word, re.ASCII)]
    if wrong:
        told = ", ".join(map(shown, wrong))
        raise typer.BadParameter(f"expected whole numbers, such as 0,1,2; got {told}", param_hint=option)
    return list(map(int, found))


def origin(weights: Path | None, *, pretrained: bool) -> str:
    """Return where a backbone starts from, as a grid has it."""
    if weights is not None:
        return str(weights)
    return "imagenet" if pretrained else "none"


def device_count(value: str) -> int | Literal["auto"]:
    """Return the number of devices, or ``"auto"``.

    Raises
    ------
    typer.BadParameter
        Neither a positive number nor auto.
    """
    if value == "auto":
        return "auto"
    if value.isascii() and value.isdigit() and len(value) <= 9 and int(value) > 0:
        return int(value)
    raise typer.BadParameter(f"expected a whole number {PARALLEL}, or auto; got {shown(value)}", param_hint="--devices")


def bounds(text: str, option: str) -> int | tuple[int, int]:
    """Read a number, or two bounds.

    Raises
    ------
    typer.BadParameter
        It is neither.

    Examples
    --------
    >>> bounds("5", "--shots"), bounds("1-10", "--shots")
    (5, (1, 10))
    """
    match = re.fullmatch(r"(\d{1,9})(?:-(\d{1,9}))?", text.strip(), re.ASCII)
    if match is None:
        raise typer.BadParameter(f"expected a number, or bounds such as 1-10; got {text!r}", param_hint=option)
    low, high = match.groups()
    return int(low) if high is None else (int(low), int(high))
