"""The two environments: this one, and that of the released packages, which is made where it is missing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from importlib.metadata import version
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
RELEASED_VARIABLE = "MEDIMETA_BENCH_RELEASED"
RELEASED = {"medimeta": "0.0.6", "torchcross": "0.0.6"}
LIBRARIES = ("medimeta", "torchcross", "torch", "torchvision", "timm", "numpy", "h5py", "pillow")


def released_python() -> Path:
    """Return the Python with the released packages: the one named by the variable, else that of ``.bench-venv``."""
    named = os.environ.get(RELEASED_VARIABLE)
    python = Path(named) if named else _own_environment()
    found = versions(python).get("medimeta")
    if found != RELEASED["medimeta"]:
        raise SystemExit(f"{python}: expected medimeta {RELEASED['medimeta']}, found {found}.")
    return python


def _own_environment() -> Path:
    folder = REPOSITORY / ".bench-venv"
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    finished = folder / ".installed"
    if not finished.is_file():
        print(f"Installing the released packages into {folder.name} ...", file=sys.stderr)
        venv.create(folder, with_pip=True, clear=True)
        # The same PyTorch on both sides: the packages are compared, not what they stand on.
        torch = f"torch=={version('torch').partition('+')[0]}"
        wanted = [f"{name}=={number}" for name, number in RELEASED.items()]
        subprocess.run([python, "-m", "pip", "install", "--quiet", *wanted, torch, "torchvision"], check=True)
        finished.touch()
    return python


def environment(*, gpu: bool = False) -> dict[str, str]:
    """Return the environment variables of every measured process; GPUs are hidden from all but those that need one."""
    variables = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    return variables if gpu else variables | {"CUDA_VISIBLE_DEVICES": ""}


def gpu_name() -> str | None:
    """Return the name of the first GPU; None where there is none."""
    import torch

    return torch.cuda.get_device_name(0) if torch.cuda.is_available() else None


def versions(python: Path) -> dict[str, str]:
    """Return the versions of a Python and of the libraries in its environment that matter here."""
    code = (
        "import json, platform\n"
        "from importlib.metadata import distributions\n"
        f"wanted = {LIBRARIES!r}\n"
        "found = {part.name.lower(): part.version for part in distributions()}\n"
        "known = {name: found[name] for name in wanted if name in found}\n"
        "print(json.dumps({'python': platform.python_version(), **known}))"
    )
    done = subprocess.run(
        [python, "-c", code], env=environment(), cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)
