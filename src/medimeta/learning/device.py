"""What the machine has to compute with."""

from __future__ import annotations

from typing import Any, Literal

import torch

from medimeta.errors import UsageError

Devices = int | Literal["auto"]
"""How many devices to train on; ``"auto"`` is one GPU where there is one, else the CPU."""


def check_devices(devices: Devices) -> None:
    """Raise UsageError where more devices are asked for than this version trains on: one."""
    if devices not in ("auto", 1):
        raise UsageError(f"training uses one device in this version, got devices={devices}. Pass 1 or auto.")


def best_precision() -> str:
    """Return the fastest precision that is safe here: bfloat16 where the hardware multiplies it, else float32.

    Where a processor lacks AVX-512 BF16 and AMX, bfloat16 is emulated and slower than float32.
    """
    if torch.cuda.is_available():
        return "bf16-mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else "32-true"
    capabilities = _processor()
    return "bf16-mixed" if capabilities.get("avx512_bf16") or capabilities.get("amx_bf16") else "32-true"


def gpus() -> list[int]:
    """Return the number of the GPU to compute on, or nothing where there is none."""
    return [torch.cuda.current_device()] if torch.cuda.is_available() else []


def device_name() -> str:
    """Return a name of the device for records."""
    if torch.cuda.is_available():
        return str(torch.cuda.get_device_name(0))
    return f"CPU ({_processor().get('cpu_name') or 'unknown'}, {torch.get_num_threads()} threads)"


def _processor() -> dict[str, Any]:
    """Return what torch knows of the processor; nothing where this torch has no way to tell."""
    capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return capabilities
