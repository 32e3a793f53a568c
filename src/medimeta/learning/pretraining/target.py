"""Pre-training for a target: on all that shares neither domain nor subjects with it, once for each set of tasks."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from lightning.pytorch.utilities import rank_zero_only

from medimeta._locks import NoLocksError, lock
from medimeta.catalogue.schema import TaskCard, normalised
from medimeta.errors import DatasetNotFoundError, MedimetaError, UsageError, problems_error
from medimeta.learning.device import Devices
from medimeta.learning.pretraining.config import PretrainConfig
from medimeta.learning.pretraining.result import Pretrained
from medimeta.learning.pretraining.run import folder_name, identity_of, run_pretraining
from medimeta.learning.pretraining.sources import Pair, Sources, check_sources, pair_problems, sources_of
from medimeta.learning.train import EpochDone
from medimeta.loading.dataset import TaskDataset
from medimeta.loading.pretraining import pretraining_tasks
from medimeta.store.info import known_dataset, known_task
from medimeta.store.layout import default_root
from medimeta.store.reader import StoredDataset, find_dataset, open_dataset


@dataclass(frozen=True)
class TargetPlan:
    """What would be pre-trained on for a target.

    Attributes
    ----------
    target : str
        The target task.
    sources : Sources
        What is there and may be used.
    missing : tuple of str
        Datasets that may be used, but are not below the root.
    left_out : tuple of str
        Tasks that are there but cannot be learned, each with its reason.
    name : str
        Name of the result's folder: the same for targets that share their sources, with the same settings and data.
    """

    target: str
    sources: Sources
    missing: tuple[str, ...]
    left_out: tuple[str, ...]
    name: str


def plan_for(
    target: str,
    root: str | os.PathLike[str] | None = None,
    config: PretrainConfig | None = None,
    *,
    names: Sequence[str] | None = None,
) -> TargetPlan:
    """Find what to pre-train on for a target; reads no images.

    Left out are the target's dataset, and every dataset of its domain or with overlaps; see
    `medimeta.pretraining_tasks`.

    Parameters
    ----------
    target : str
        ``dataset/task``, or a dataset alone.
    root : path, optional
        Root folder; else ``$MEDIMETA_ROOT``, else ``./data``.
    config : PretrainConfig, optional
        The settings: there must be episodes for MAML.
    names : sequence of str, optional
        Datasets, or tasks as ``dataset/task``, to choose from, also one's own; all of the catalogue without it.

    Raises
    ------
    UnknownNameError
        A dataset or task that does not exist.
    UsageError
        Nothing is left; names ask for what overlaps with the target; images are of different sizes.
    """
    config = config or PretrainConfig()
    card = known_task(target, root)
    place = default_root(root)
    allowed = _allowed(target, root, names)
    stored: dict[str, StoredDataset] = {}
    missing: list[str] = []
    for dataset in dict.fromkeys(task.dataset for task in allowed):
        try:
            find_dataset(dataset, place)
        except DatasetNotFoundError:
            missing.append(dataset)
        else:
            stored[dataset] = open_dataset(dataset, place)
    pairs: list[Pair] = []
    left_out: list[str] = []
    for name in [task for task in allowed if task.dataset in stored]:
        task = stored[name.dataset].info.task(name.name)
        train_set, val_set = (TaskDataset(stored[name.dataset], task, split) for split in ("train", "val"))
        problems = pair_problems((train_set, val_set), [task], config)
        left_out += problems
        pairs += [] if problems else [(train_set, val_set)]
    if not pairs:
        built = f"There is none of {', '.join(missing)} below {place}: build them." if missing else ""
        overlap = "" if allowed else "Every dataset overlaps with it, or has its domain."
        raise problems_error(
            UsageError, f"{card.id}: nothing is left to pre-train on for it. {overlap}{built}".strip(), left_out
        )
    sources = sources_of(pairs)
    check_sources(sources, config)
    name_of_result = folder_name(config, identity_of(sources, config))
    return TargetPlan(card.id, sources, tuple(missing), tuple(left_out), name_of_result)


def pretrain_for(
    target: str | TargetPlan,
    root: str | os.PathLike[str] | None,
    out: str | os.PathLike[str],
    config: PretrainConfig | None = None,
    *,
    names: Sequence[str] | None = None,
    weights: Path | None = None,
    devices: Devices = "auto",
    nodes: int = 1,
    epoch_done: EpochDone | None = None,
) -> Path:
    """Pre-train a backbone for a target, without leaks, and return the file of its weights.

    Targets that share their sources share the result, which is trained once: what is finished below `out`, with the
    same settings and data, is kept; what was cut off is resumed. Of processes that ask at the same time, one trains,
    and the others wait for it.

    Parameters
    ----------
    target : str or TargetPlan
        ``dataset/task``, a dataset alone, or what `plan_for` made of it.
    root : path, optional
        Root folder; else ``$MEDIMETA_ROOT``, else ``./data``.
    out : path
        Folder of results; each has a folder of its own in it.
    config : PretrainConfig, optional
        The settings; those of the protocol without it.
    names
        As in `plan_for`.
    weights, devices, nodes, epoch_done
        As in `pretrain`.

    Returns
    -------
    Path
        ``backbone.safetensors``, with ``pretraining.json`` beside it, which says what is missing, too.

    Raises
    ------
    MedimetaError
        See `plan_for` and `pretrain`.

    Examples
    --------
    >>> from medimeta.learning.pretraining.config import PretrainConfig
    >>> settings = {"backbone": "test_resnet.r160_in1k", "weights": "none", "max_epochs": 1}
    >>> out = getfixture("tmp_path")
    >>> config = PretrainConfig(**settings)
    >>> pretrain_for("oct", getfixture("bus_root"), out, config, names=["bus", "pbc"]).name
    'backbone.safetensors'
    """
    config = config or PretrainConfig()
    plan = target if isinstance(target, TargetPlan) else plan_for(target, root, config, names=names)
    pretrained = run_plan(plan, Path(out), config, weights=weights, devices=devices, nodes=nodes, epoch_done=epoch_done)
    if pretrained.weights is None:
        raise MedimetaError(f"{out}: the result was not written.")
    return pretrained.weights


def run_plan(
    plan: TargetPlan,
    out: Path,
    config: PretrainConfig,
    *,
    weights: Path | None = None,
    devices: Devices = "auto",
    nodes: int = 1,
    epoch_done: EpochDone | None = None,
) -> Pretrained:
    """Do what `pretrain_for` does for a plan made with the same settings, and return all of the result."""
    with _locked(out / f".{plan.name}.lock"):
        return run_pretraining(
            plan.sources,
            config,
            weights=weights,
            devices=devices,
            nodes=nodes,
            folder=out / plan.name,
            epoch_done=epoch_done,
            said={"missing": list(plan.missing), "left_out": list(plan.left_out)},
        )


def _allowed(target: str, root: str | os.PathLike[str] | None, names: Sequence[str] | None) -> list[TaskCard]:
    if names is None:
        return list(pretraining_tasks(target, root))
    asked = {
        task.id: task for name in names for task in ([known_task(name, root)] if "/" in name else _tasks_of(name, root))
    }
    allowed = pretraining_tasks(target, root, datasets=[task.dataset for task in asked.values()])
    free = {task.dataset for task in allowed}
    barred = [dataset for dataset in dict.fromkeys(task.dataset for task in asked.values()) if dataset not in free]
    if barred:
        raise problems_error(
            UsageError,
            f"{target}: these share its domain or its subjects, so that pre-training on them would leak:",
            barred,
            "Leave them out.",
        )
    return [task for task in allowed if normalised(task.id) in {normalised(name) for name in asked}]


def _tasks_of(name: str, root: str | os.PathLike[str] | None) -> tuple[TaskCard, ...]:
    return known_dataset(name, root).tasks


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Wait for whoever trains the same; the lock ends with the process that holds it, however it ends."""
    if getattr(rank_zero_only, "rank", 0):
        yield  # the first rank holds it for all
        return
    with ExitStack() as held:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            held.enter_context(lock(path, wait=True))  # whoever waited finds the result
        except NoLocksError:
            pass  # both train the same then
        except OSError as error:
            raise MedimetaError(
                f"{path.parent}: cannot be written ({error.strerror}). Pass another folder as --out."
            ) from error
        yield
