"""What the machine has to compute with."""

from __future__ import annotations

from typing import Any, Literal, get_args

import torch

from medimeta._numbers import PARALLEL, Bounds, whole_number
from medimeta.errors import UsageError, unknown_name

NODES = Bounds(1, 100_000)

Devices = int | Literal["auto"]
"""How many devices to train on, on each node; ``"auto"`` is one GPU where there is one, else the CPU."""
Accelerator = Literal["auto", "cpu", "gpu"]
"""What to compute on; ``"auto"`` is the GPU where there is one."""


def check_devices(devices: Devices, accelerator: Accelerator = "auto", nodes: int = 1) -> None:
    """See that there are so many devices of this kind.

    Raises
    ------
    UsageError
        There are fewer, or these are no numbers of devices and nodes.
    """
    if accelerator not in get_args(Accelerator):
        raise unknown_name("accelerator", str(accelerator), get_args(Accelerator))
    if devices != "auto":
        whole_number("devices", devices, PARALLEL, ", or auto")
    whole_number("nodes", nodes, NODES)
    there = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if accelerator == "gpu" and not there:
        built = "" if torch.version.cuda else " This installation of PyTorch is one for the CPU alone."
        raise UsageError(f"a GPU was asked for, but PyTorch sees none.{built} Pass --accelerator auto or cpu.")
    if devices != "auto" and uses_gpu(accelerator) and devices > there:
        raise UsageError(
            f"{devices} GPUs were asked for, but PyTorch sees {there}. Pass fewer as --devices, or --accelerator cpu "
            f"for so many processes on the CPU."
        )


def uses_gpu(accelerator: Accelerator = "auto") -> bool:
    """Return whether a GPU computes."""
    return accelerator != "cpu" and torch.cuda.is_available()


def device_of(accelerator: Accelerator = "auto") -> torch.device:
    """Return the device to compute on: the current GPU, or the CPU."""
    return torch.device("cuda", torch.cuda.current_device()) if uses_gpu(accelerator) else torch.device("cpu")


def best_precision(accelerator: Accelerator = "auto") -> str:
    """Return the fastest precision that is safe here: bfloat16 where the hardware multiplies it, else float32.

    Where a processor lacks AVX-512 BF16 and AMX, bfloat16 is emulated and slower than float32.
    """
    if uses_gpu(accelerator):
        return "bf16-mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else "32-true"
    capabilities = _processor()
    return "bf16-mixed" if capabilities.get("avx512_bf16") or capabilities.get("amx_bf16") else "32-true"


def gpus(accelerator: Accelerator = "auto") -> list[int]:
    """Return the number of the GPU to compute on, or nothing where there is none."""
    return [torch.cuda.current_device()] if uses_gpu(accelerator) else []


def device_name(accelerator: Accelerator = "auto") -> str:
    """Return a name of the device for records."""
    if uses_gpu(accelerator):
        return str(torch.cuda.get_device_name(0))
    return f"CPU ({_processor().get('cpu_name') or 'unknown'}, {torch.get_num_threads()} threads)"


def _processor() -> dict[str, Any]:
    """Return what torch knows of the processor; nothing where this torch has no way to tell."""
    capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return capabilities
