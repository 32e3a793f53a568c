"""MedIMeta: 19 medical imaging datasets, 54 tasks, one format.

Every public name is resolved when it is first used, so that ``import medimeta`` costs next to nothing and needs neither
torch nor h5py before there is something to read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from medimeta._version import __version__ as __version__

if TYPE_CHECKING:
    from medimeta.benchmark.run import run_benchmark as run_benchmark
    from medimeta.building.dry_run import plan_build as plan_build
    from medimeta.building.engine import build as build
    from medimeta.catalogue.lookup import datasets as datasets
    from medimeta.catalogue.lookup import tasks as tasks
    from medimeta.catalogue.schema import DatasetCard as DatasetCard
    from medimeta.catalogue.schema import TaskCard as TaskCard
    from medimeta.catalogue.schema import TaskTarget as TaskTarget
    from medimeta.errors import MedimetaError as MedimetaError
    from medimeta.hub.download import download as download
    from medimeta.hub.report import DownloadReport as DownloadReport
    from medimeta.learning.fewshot.config import FewShotConfig as FewShotConfig
    from medimeta.learning.fewshot.front import few_shot as few_shot
    from medimeta.learning.fewshot.result import FewShotResult as FewShotResult
    from medimeta.learning.fewshot.run import run_few_shot as run_few_shot
    from medimeta.learning.metrics import Comparison as Comparison
    from medimeta.learning.metrics import Scores as Scores
    from medimeta.learning.metrics import compare as compare
    from medimeta.learning.metrics import evaluate as evaluate
    from medimeta.learning.multitask import MultiTaskModel as MultiTaskModel
    from medimeta.learning.pretraining.config import PretrainConfig as PretrainConfig
    from medimeta.learning.pretraining.run import pretrain as pretrain
    from medimeta.learning.pretraining.target import pretrain_for as pretrain_for
    from medimeta.learning.saved_model import load_model as load_model
    from medimeta.loading.arrays import load_arrays as load_arrays
    from medimeta.loading.datamodule import DataModule as DataModule
    from medimeta.loading.dataset import TaskDataset as TaskDataset
    from medimeta.loading.dataset import load as load
    from medimeta.loading.episode import Episode as Episode
    from medimeta.loading.episode_files import load_episodes as load_episodes
    from medimeta.loading.episodes import Episodes as Episodes
    from medimeta.loading.loader import loader as loader
    from medimeta.loading.mixing import MixedBatches as MixedBatches
    from medimeta.loading.normalize import Normalize as Normalize
    from medimeta.loading.pretraining import pretraining_tasks as pretraining_tasks
    from medimeta.loading.statistics import ChannelStatistics as ChannelStatistics
    from medimeta.loading.statistics import channel_statistics as channel_statistics
    from medimeta.store.lookup import dataset as dataset
    from medimeta.store.lookup import task as task
    from medimeta.store.verify import verify as verify

_HOMES = {
    "ChannelStatistics": "medimeta.loading.statistics",
    "Comparison": "medimeta.learning.metrics",
    "DataModule": "medimeta.loading.datamodule",
    "DatasetCard": "medimeta.catalogue.schema",
    "DownloadReport": "medimeta.hub.report",
    "Episode": "medimeta.loading.episode",
    "Episodes": "medimeta.loading.episodes",
    "FewShotConfig": "medimeta.learning.fewshot.config",
    "FewShotResult": "medimeta.learning.fewshot.result",
    "MedimetaError": "medimeta.errors",
    "MixedBatches": "medimeta.loading.mixing",
    "MultiTaskModel": "medimeta.learning.multitask",
    "Normalize": "medimeta.loading.normalize",
    "PretrainConfig": "medimeta.learning.pretraining.config",
    "Scores": "medimeta.learning.metrics",
    "TaskCard": "medimeta.catalogue.schema",
    "TaskDataset": "medimeta.loading.dataset",
    "TaskTarget": "medimeta.catalogue.schema",
    "build": "medimeta.building.engine",
    "channel_statistics": "medimeta.loading.statistics",
    "compare": "medimeta.learning.metrics",
    "dataset": "medimeta.store.lookup",
    "datasets": "medimeta.catalogue.lookup",
    "download": "medimeta.hub.download",
    "evaluate": "medimeta.learning.metrics",
    "few_shot": "medimeta.learning.fewshot.front",
    "load": "medimeta.loading.dataset",
    "load_arrays": "medimeta.loading.arrays",
    "load_episodes": "medimeta.loading.episode_files",
    "load_model": "medimeta.learning.saved_model",
    "loader": "medimeta.loading.loader",
    "plan_build": "medimeta.building.dry_run",
    "pretrain": "medimeta.learning.pretraining.run",
    "pretrain_for": "medimeta.learning.pretraining.target",
    "pretraining_tasks": "medimeta.loading.pretraining",
    "run_benchmark": "medimeta.benchmark.run",
    "run_few_shot": "medimeta.learning.fewshot.run",
    "task": "medimeta.store.lookup",
    "tasks": "medimeta.catalogue.lookup",
    "verify": "medimeta.store.verify",
}

__all__ = ["__version__", *sorted(_HOMES)]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'medimeta' has no attribute {name!r}")
    from medimeta._optional import require

    value = getattr(require(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
