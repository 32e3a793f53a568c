"""Which processes train together: one, several that are started here, or those that a cluster has started.

torchrun and SLURM start a process for each device, and say so in the environment. Elsewhere this process starts them,
passes on what they tell, and ends them all as soon as one of them fails.
"""

from __future__ import annotations

import atexit
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import distributed

from medimeta.errors import UsageError
from medimeta.learning.device import Accelerator, Devices, check_devices, uses_gpu
from medimeta.learning.training.batches import Share

TORCHRUN = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")

FIRST_PORT, PORTS = 15000, 10000  # where processes of a SLURM job meet, unless MASTER_PORT says so


@dataclass(frozen=True)
class Group:
    """The processes that train together, and which of them this is.

    Attributes
    ----------
    devices, nodes : int
        Processes on each node, one for each device; and nodes.
    node : int
        Number of this node.
    local_rank : int or None
        Number of this process on its node; None where its processes have yet to be started.
    address, port : str, int
        Where they meet.
    """

    devices: int = 1
    nodes: int = 1
    node: int = 0
    local_rank: int | None = 0
    address: str = "127.0.0.1"
    port: int = 0

    @property
    def size(self) -> int:
        """How many processes there are."""
        return self.devices * self.nodes

    @property
    def share(self) -> Share:
        """The share of this process."""
        return Share(self.node * self.devices + (self.local_rank or 0), self.size)


def first_rank() -> bool:
    """Return whether this process is the first, or the only one, of those that torchrun or SLURM has started.

    It alone should print and write what all of them know.

    Examples
    --------
    >>> first_rank()
    True
    """
    names = ("RANK", "WORLD_SIZE") if "RANK" in os.environ else ("SLURM_PROCID", "SLURM_NTASKS")
    rank, size = (_whole(os.environ, name) for name in names)
    return not rank or not size or size == 1


def group_of(devices: Devices, nodes: int = 1, accelerator: Accelerator = "auto") -> Group:
    """Return the processes that are to train together.

    Raises
    ------
    UsageError
        There are fewer devices, several nodes without anything that connects them, or other processes than asked for.
    """
    check_devices(devices, accelerator, nodes)
    if devices == 1 and nodes == 1:
        return Group()
    started = _of_torchrun(os.environ) or _of_slurm(os.environ)
    if started is not None and devices == "auto" and nodes == 1:
        return started
    count = 1 if devices == "auto" else devices
    if started is not None:
        if (started.devices, started.nodes) != (count, nodes):
            raise UsageError(
                f"{count} devices on each of {nodes} nodes were asked for, but {started.devices} processes on each of "
                f"{started.nodes} nodes were started. Let --devices and --nodes be what torchrun or srun was told."
            )
        return started
    if nodes > 1:
        return _of_nodes(os.environ, count, nodes)
    return Group() if count == 1 else Group(count, local_rank=None, port=_free_port())


def _of_torchrun(env: Mapping[str, str]) -> Group | None:
    if any(name not in env for name in TORCHRUN):
        return None
    size, local_size = int(env["WORLD_SIZE"]), int(env["LOCAL_WORLD_SIZE"])
    if size == 1:
        return None
    return Group(
        local_size,
        size // local_size,
        int(env["RANK"]) // local_size,
        int(env["LOCAL_RANK"]),
        env["MASTER_ADDR"],
        int(env["MASTER_PORT"]),
    )


def _of_slurm(env: Mapping[str, str]) -> Group | None:
    size, nodes = _whole(env, "SLURM_NTASKS"), _whole(env, "SLURM_NNODES") or 1
    rank, local_rank, node = (_whole(env, f"SLURM_{name}") for name in ("PROCID", "LOCALID", "NODEID"))
    if not size or size == 1 or rank is None or local_rank is None or node is None:
        return None
    from lightning.fabric.plugins.environments.slurm import SLURMEnvironment

    address = env.get("MASTER_ADDR") or SLURMEnvironment.resolve_root_node_address(
        env.get("SLURM_NODELIST", "127.0.0.1")
    )
    # All processes must come to the same port, which another job on the node should not have.
    port = _whole(env, "MASTER_PORT") or FIRST_PORT + (_whole(env, "SLURM_JOB_ID") or 0) % PORTS
    return Group(size // nodes, nodes, node, local_rank, address, port)


def _of_nodes(env: Mapping[str, str], devices: int, nodes: int) -> Group:
    node, port = _whole(env, "NODE_RANK"), _whole(env, "MASTER_PORT")
    if node is None or port is None or "MASTER_ADDR" not in env:
        raise UsageError(
            f"training on {nodes} nodes needs a process on each that knows the others: start the command with srun, "
            f"with torchrun --nnodes {nodes} --nproc-per-node {devices} --rdzv-backend c10d --rdzv-endpoint HOST:PORT "
            f"-m medimeta ..., or on each node with NODE_RANK, MASTER_ADDR and MASTER_PORT set."
        )
    if node >= nodes:
        raise UsageError(f"NODE_RANK is {node}, but there are {nodes} nodes, counted from 0.")
    return Group(devices, nodes, node, None, env["MASTER_ADDR"], port)


@contextmanager
def joined(group: Group, accelerator: Accelerator) -> Iterator[torch.device]:
    """Join the other processes, and give the device of this one.

    Processes that a cluster has started stay joined, as they cannot meet twice in the same place.
    """
    gpu = uses_gpu(accelerator)
    if group.size == 1:
        yield torch.device("cuda", torch.cuda.current_device()) if gpu else torch.device("cpu")
        return
    # So Lightning knows them, whatever has started them.
    os.environ |= {
        "RANK": str(group.share.rank),
        "WORLD_SIZE": str(group.size),
        "LOCAL_RANK": str(group.local_rank),
        "LOCAL_WORLD_SIZE": str(group.devices),
        "GROUP_RANK": str(group.node),
        "MASTER_ADDR": group.address,
        "MASTER_PORT": str(group.port),
    }
    device = torch.device("cuda", group.local_rank or 0) if gpu else torch.device("cpu")
    if gpu:
        torch.cuda.set_device(device)
    if not distributed.is_initialized():
        distributed.init_process_group("nccl" if gpu else "gloo", rank=group.share.rank, world_size=group.size)
        atexit.register(_leave)
    yield device


def _leave() -> None:
    if distributed.is_initialized():
        distributed.destroy_process_group()


def _free_port() -> int:
    with socket.socket() as some:
        some.bind(("127.0.0.1", 0))
        return int(some.getsockname()[1])


def _whole(env: Mapping[str, str], name: str) -> int | None:
    text = env.get(name, "")
    return int(text) if text.isdigit() else None
