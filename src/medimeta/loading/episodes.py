"""Few-shot episodes: small support and query sets, each of which depends on the seed and its number alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from medimeta._numbers import Bounds, shown, whole_number
from medimeta.catalogue.schema import TaskCard, TaskTarget
from medimeta.errors import UsageError, problems_error
from medimeta.loading.dataset import ClassCount, TaskDataset
from medimeta.loading.episode import Episode
from medimeta.loading.episode_classes import ClassSampler
from medimeta.loading.episode_data import digest
from medimeta.loading.episode_draws import EpisodeStreams, between, some_of
from medimeta.loading.episode_files import EpisodeSequence
from medimeta.loading.episode_labels import LabelSampler
from medimeta.loading.episode_subjects import OF_SUBJECTS, NotDivisibleError, subject_codes

Indices = npt.NDArray[np.int64]
Range = int | tuple[int, int]

DRAWS = 1  # version of how episodes are drawn: raise it when the same seed would give others
MOST = 2**63 - 1  # of any number here
TRIAL = 2**64 - 1  # number of an episode that is only tried
SUBJECTS_WAY_OUT = "With disjoint_subjects=False a subject may be in both sets."
CHOICES_OF_CLASSES = 16  # that are tried where some classes cannot be in one episode


class Episodes(EpisodeSequence):
    """A sequence of episodes of one task, drawn when they are asked for.

    Multi-class, binary and ordinal tasks: `shots` and `queries` images of each class, over `ways` classes. Multi-label:
    for each label at least `shots` images that have it and `shots` that have not, with as few images as can be chosen
    among candidates drawn at random; likewise the query set. (Definition: the project's protocol, "Few-shot".)

    Support and query set share no image and, where the subjects are known, no subject.

    ``episodes[i]`` depends on the seed, on `i`, on these settings but for the length, and on the samples, labels and
    subjects of the dataset: not on what was drawn before, nor on the process or machine.

    Parameters
    ----------
    dataset : TaskDataset
        Images of one task: of one split, of several, or all.
    shots : int or (int, int)
        Images a class in the support set; of two bounds, both included, each episode has a number between.
    queries : int
        Images a class in the query set.
    ways : int or (int, int), optional
        Classes of an episode, drawn at random for each; two bounds likewise. All classes without it. Not
        for multi-label tasks.
    length : int
        How many episodes there are.
    seed : int
        Seed.
    min_samples : int, optional
        Leave out classes with fewer images than this, and labels that fewer images have, or lack.
    disjoint_subjects : bool
        Whether support and query set must be of different subjects, where these are known.

    Attributes
    ----------
    classes : tuple of str
        The classes that episodes are drawn from.
    left_out : tuple of str
        Those that have fewer images than `min_samples`.
    subjects_known : bool
        Whether support and query set are kept apart by subject: asked for, and known.

    Raises
    ------
    UsageError
        The dataset has several tasks, a setting is out of range, or a class has too few images or subjects; each such
        class is named with what it has and needs.

    Examples
    --------
    >>> import medimeta as mm
    >>> ds = mm.load("pbc/cell class", root=getfixture("bus_root"))
    >>> episode = mm.Episodes(ds, shots=2, queries=3, ways=4, seed=0)[7]
    >>> len(episode.classes), len(episode.support), len(episode.query)
    (4, 8, 12)
    """

    def __init__(
        self,
        dataset: TaskDataset,
        shots: Range = 5,
        queries: int = 10,
        ways: Range | None = None,
        length: int = 100,
        seed: int = 0,
        *,
        min_samples: int | None = None,
        disjoint_subjects: bool = True,
    ) -> None:
        if not hasattr(dataset, "task"):
            raise UsageError(f"episodes are drawn from a dataset of medimeta.load, got {shown(dataset)}.")
        if dataset.task is None:
            raise UsageError("episodes are of one task: load the dataset with one, as 'dataset/task'.")
        self.dataset = dataset
        self.task: TaskCard = dataset.task
        self.shots = _bounds("shots", shots)
        self.queries, self.length = _whole("queries", queries), _whole("length", length)
        self.seed = whole_number("seed", seed, Bounds(-MOST, MOST))
        self.min_samples = None if min_samples is None else _whole("min_samples", min_samples)
        if not isinstance(disjoint_subjects, bool | np.bool_):
            raise UsageError(f"disjoint_subjects must be True or False, got {disjoint_subjects!r}.")
        self.disjoint_subjects = bool(disjoint_subjects)
        self._multilabel = self.task.target is TaskTarget.MULTILABEL
        labels = dataset.class_indices()
        subjects = subject_codes(dataset) if disjoint_subjects else None
        self.subjects_known = subjects is not None
        counts = dataset.class_counts()
        few = [self.min_samples is not None and self._least(count) < self.min_samples for count in counts.values()]
        self.classes = tuple(name for name, left in zip(counts, few, strict=True) if not left)
        self.left_out = tuple(name for name, left in zip(counts, few, strict=True) if left)
        self._kept = np.flatnonzero(~np.array(few))
        if len(self.classes) < (1 if self._multilabel else 2):
            raise UsageError(
                f"{self.task.id}: min_samples={self.min_samples} leaves {len(self.classes)} of {len(few)} classes; "
                f"they have {', '.join(f'{self._least(count):,}' for count in counts.values())} images."
            )
        self._sampler: LabelSampler | ClassSampler = (
            LabelSampler(labels[:, self._kept], subjects)
            if self._multilabel
            else ClassSampler(labels, len(counts), subjects)
        )
        self.ways = self._checked_ways(ways)
        self._streams = EpisodeStreams(
            f"{DRAWS} {self.task.id} {self.settings} {self.ways} {digest(str(dict(self.task.labels)), labels)} "
            f"{digest('samples', dataset.indices)} {digest('subjects', subjects)}"
        )
        self._check_numbers()
        if self._multilabel or (self.subjects_known and self.ways[0] == len(self.classes)):
            self._draw_all(self._streams[TRIAL], self.shots[1])  # all together, too, must leave an episode

    @property
    def settings(self) -> dict[str, Any]:
        """What the episodes are drawn by, besides the dataset and the length."""
        return {
            "shots": list(self.shots),
            "queries": self.queries,
            "ways": None if self._multilabel else list(self.ways),
            "seed": self.seed,
            "min_samples": self.min_samples,
            "disjoint_subjects": self.disjoint_subjects,
        }

    def __len__(self) -> int:
        return self.length

    def __repr__(self) -> str:
        shots, ways = _show(self.shots), "" if self._multilabel else f", ways={_show(self.ways)}"
        return f"Episodes({self.task.id!r}, shots={shots}, queries={self.queries}{ways}, length={self.length})"

    def __getstate__(self) -> dict[str, Any]:
        """Carry the settings alone: what follows from them is made again, so that a pickle stays small."""
        return {
            "dataset": self.dataset,
            "shots": self.shots,
            "queries": self.queries,
            "ways": None if self._multilabel else self.ways,
            "length": self.length,
            "seed": self.seed,
            "min_samples": self.min_samples,
            "disjoint_subjects": self.disjoint_subjects,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]

    def _episode(self, number: int) -> Episode:
        rng = self._streams[number]
        shots = between(rng, self.shots)
        ways, kept = between(rng, self.ways), self._kept
        if ways == len(kept):
            return Episode(self.dataset, *self._draw_all(rng, shots), self.classes)
        for _ in range(CHOICES_OF_CLASSES):
            places = np.sort(some_of(rng, len(kept), ways))
            try:
                drawn = self._draw(rng, kept[places], shots)
            except NotDivisibleError:
                continue  # these classes share subjects; others may not
            return Episode(self.dataset, *drawn, tuple(self.classes[place] for place in places))
        raise UsageError(
            f"{self.task.id}: episode {number} finds no {ways} classes of which {shots} shots and {self.queries} "
            f"queries are of different subjects, because classes share subjects. {SUBJECTS_WAY_OUT}"
        )

    def _draw(self, rng: np.random.Generator, chosen: Indices, shots: int) -> tuple[Indices, Indices]:
        if isinstance(self._sampler, LabelSampler):
            return self._sampler.draw(rng, shots, self.queries)
        return self._sampler.draw(rng, chosen, shots, self.queries)

    def _draw_all(self, rng: np.random.Generator, shots: int) -> tuple[Indices, Indices]:
        """Draw from all classes, or say why there is no episode of them."""
        try:
            return self._draw(rng, self._kept, shots)
        except NotDivisibleError as error:
            name = self.classes[error.column % len(self.classes)]
            column = error.column if self._multilabel else int(self._kept[error.column])
            shared = "images or subjects" if self.subjects_known else "images"
            raise UsageError(
                f"{self.task.id}: {'there is no episode' if error.proven else 'no episode was found in bounded time'} "
                f"of {shots} shots and {self.queries} queries, because classes share {shared}. The tightest, {name}, "
                f"{self._sampler.have(column)}, needs {shots:,} for the support and {self.queries:,} for the query "
                f"set. Ask for fewer. {SUBJECTS_WAY_OUT if self.subjects_known else ''}".rstrip()
            ) from None

    def _least(self, count: ClassCount) -> int:
        return min(count) if self._multilabel else count.positive

    def _checked_ways(self, ways: Range | None) -> tuple[int, int]:
        most = len(self.classes)
        if self._multilabel and ways is not None:
            raise UsageError(f"{self.task.id} is multi-label: its episodes cover all labels, and have no ways.")
        if ways is None:
            return most, most
        low, high = _bounds("ways", ways)
        if not 2 <= low <= high <= most:
            left = f" that have {self.min_samples} images" if self.left_out else ""
            raise UsageError(f"{self.task.id}: ways must be 2 to {most}, the number of classes{left}; got {ways}.")
        return low, high

    def _check_numbers(self) -> None:
        """Find every class that has too few images, or too few subjects, by itself."""
        shots = self.shots[1]
        numbers = range(len(self._kept)) if self._multilabel else self._kept.tolist()
        found = [self._sampler.problem(number, shots, self.queries) for number in numbers]
        poor = [f"{name}: {problem}" for name, problem in zip(self.classes, found, strict=True) if problem]
        if poor:
            of_subjects = sum(problem.endswith(OF_SUBJECTS) for problem in poor)
            need, way_out = shots + self.queries, ["Ask for fewer."]
            if of_subjects < len(poor):
                way_out.append(f"With min_samples={need} what has fewer than {need} images is left out.")
            if of_subjects:
                way_out.append(SUBJECTS_WAY_OUT)
            what = "images or subjects" if of_subjects else "images"
            raise problems_error(
                UsageError,
                f"{self.task.id}: too few {what} for episodes of {shots} shots and {self.queries} queries:",
                poor,
                " ".join(way_out),
            )


def _whole(name: str, value: int) -> int:
    return whole_number(name, value, Bounds(1, MOST))


def _bounds(name: str, value: Range) -> tuple[int, int]:
    if isinstance(value, tuple | list):
        if len(value) != 2:
            raise UsageError(f"{name} must be a number or two bounds, (least, most); got {shown(value)}.")
        low, high = (_whole(name, bound) for bound in value)
        if low > high:
            raise UsageError(f"{name}: the lower bound comes first, got {value!r}.")
        return low, high
    number = _whole(name, value)
    return number, number


def _show(bounds: tuple[int, int]) -> str:
    return str(bounds[0] if bounds[0] == bounds[1] else bounds)
