"""The cases of loading: batches, opening, episodes and mixed batches."""

from __future__ import annotations

from pathlib import Path

from benchmarks import stored
from benchmarks.cases import OURS, RELEASED, Case, Comparison, Effort, ours, reference, released
from benchmarks.pace import BATCH_SIZE

OPENING_MS = 20
MIXING_OVERHEAD = 0.05


def loading_cases(root: Path, python: Path, effort: Effort, *, quick: bool = False) -> tuple[Case, ...]:
    """Lay out the cases, for blood cells below `root` and a Python with the released packages."""
    return (*_batches(root, python, effort, quick), *_large(python, effort, quick), _mixing(effort, quick))


def _batches(root: Path, python: Path, effort: Effort, quick: bool) -> tuple[Case, ...]:
    from_disk = stored.one("pbc", 256 if quick else 12_288)
    seconds = effort.seconds
    plain = released(python, "batches", root, "plain", seconds)
    return (
        Case(
            name="batches-uint8",
            unit="images/s",
            more_is_better=True,
            rounds=5,
            sides={
                OURS: ours("batches", root, "uint8", seconds),
                RELEASED: plain,
                "preadv": reference("preadv", root, seconds),
                "aligned": reference("preadv", root, seconds, "aligned"),
            },
            comparisons=(
                Comparison("random uint8 batches", OURS, RELEASED, target=30),
                Comparison("of what bare preadv reads", OURS, "preadv", target=0.8),
                Comparison("of bare preadv into aligned memory", OURS, "aligned", target=0.8),
            ),
            note=f"Batches of {BATCH_SIZE}, 224x224x3, in random order, from the page cache. Ours: "
            "`mm.loader(ds, 64, shuffle=True, normalize=None)`. Released: `DataLoader(ds, batch_size=64, shuffle=True, "
            "num_workers=0)`, which delivers float32: it has no uint8 to offer. Bare preadv: as many threads as our "
            "reader has, into buffers that are used again. Where a buffer begins 16 bytes behind a page, as large "
            "objects of Python and NumPy do, preadv takes half as long again. Ours begin with a cache line, so bare "
            "preadv is measured with such buffers, too.",
        ),
        Case(
            name="batches-cold",
            unit="images/s",
            more_is_better=True,
            rounds=5,
            sides={
                OURS: ours("cold", from_disk.path, seconds),
                "preadv": reference("preadv", from_disk.path, seconds, "aligned", "cold"),
            },
            comparisons=(Comparison("the same, cold page cache, of bare preadv", OURS, "preadv", target=0.8),),
            note="As batches-uint8, but from the disk: all training images of 12,288 of noise (1.85 GB), each once, in "
            "random order. Before each pass, and on either side alike, the file is flushed with `fsync` and its pages "
            "are dropped with `posix_fadvise(POSIX_FADV_DONTNEED)`; `mincore` says how many stayed. What the host of "
            "a virtual machine caches stays cached.",
            prepare=from_disk.make,
        ),
        Case(
            name="batches-float32",
            unit="images/s",
            more_is_better=True,
            rounds=5,
            sides={
                OURS: ours("batches", root, "float32", seconds),
                RELEASED: released(python, "batches", root, "normalized", seconds),
            },
            comparisons=(Comparison("random float32 batches, normalised", OURS, RELEASED, target=5),),
            note='As batches-uint8, but normalised with ImageNet statistics. Ours: `normalize="imagenet"`. Released: '
            "torchvision's `ToTensor` and `Normalize` as the dataset's transform.",
        ),
        Case(
            name="dataloader",
            unit="images/s",
            more_is_better=True,
            rounds=5,
            sides={OURS: ours("batches", root, "dataloader", seconds), RELEASED: plain},
            comparisons=(Comparison("plain DataLoader, no workers", OURS, RELEASED, target=8),),
            note="`DataLoader(ds, batch_size=64, shuffle=True, num_workers=0)` on either side, with the dataset as it "
            "comes: ours delivers uint8, the released one float32.",
        ),
    )


def _large(python: Path, effort: Effort, quick: bool) -> tuple[Case, ...]:
    large = stored.large(5 if quick else 1)

    def episodes(name: str, task: str, what: str, target: float, *, patients: bool) -> Case:
        sides = {OURS: ours("episodes", large.path, task, effort.seconds)}
        comparisons = [Comparison(f"episodes, {what}", OURS, RELEASED, target=target)]
        if patients:
            sides["any patient"] = ours("episodes", large.path, task, effort.seconds, "any")
            comparisons.append(Comparison("the same, patients not kept apart", "any patient", RELEASED, target=target))
        return Case(
            name=f"episodes-{name}",
            unit="episodes/s",
            more_is_better=True,
            rounds=5,
            sides={**sides, RELEASED: released(python, "episodes", large.path, task, effort.seconds)},
            comparisons=tuple(comparisons),
            note="5 shots, 10 queries, all classes; indices alone, no image is read; what is computed once, when the "
            "sampler is made, is not timed. "
            + (
                "Ours keeps the patients of support and query set apart, as by default, which the released does not "
                "do; then `disjoint_subjects=False`. "
                if patients
                else "The original names no patients. "
            )
            + "Released: torchcross' `FewShotMetaDataset` over `MedIMeta`, with `output_indices=True`.",
            prepare=large.make,
        )

    return (
        Case(
            name="opening",
            unit="ms",
            more_is_better=False,
            rounds=9,
            sides={
                OURS: ours("opening", large.path),
                RELEASED: released(python, "opening", large.path),
                "bound": reference("bound", OPENING_MS),
            },
            comparisons=(
                Comparison("opening a task of 112,120 images, below its bound", OURS, "bound", target=1),
                Comparison("the same, of the released", OURS, RELEASED),
            ),
            note='`mm.load("cxr/disease labels", split="train")`, the first call of a fresh process, after '
            "`import medimeta.loading.dataset`; files in the page cache. Labels, splits and annotations are as large "
            f"as the original's; images are {large.size} pixels wide, as opening reads none. Released: the "
            "constructor of `MedIMeta`.",
            prepare=large.make,
        ),
        episodes("multiclass", "crc/tissue class", "9 classes of 107,180", 1000, patients=False),
        episodes("binary", "oct/urgent referral", "binary, 109,309", 200, patients=True),
        episodes("multilabel", "cxr/disease labels", "14 labels of 112,120", 300, patients=True),
    )


def _mixing(effort: Effort, quick: bool) -> Case:
    every = stored.every(40 if quick else 800)
    seconds = 3 * effort.seconds  # a small difference is looked for
    return Case(
        name="mixing",
        unit="images/s",
        more_is_better=True,
        rounds=5,
        sides={
            OURS: ours("mixing", every.path, "mixed", seconds),
            "plain": ours("mixing", every.path, "plain", seconds),
        },
        comparisons=(
            Comparison(
                "epoch of MixedBatches over 54 tasks, of plain reads",
                OURS,
                "plain",
                round(1 / (1 + MIXING_OVERHEAD), 3),
            ),
        ),
        note="Whole epochs over the 54 tasks of 19 datasets, at most 800 images each, from the page cache: "
        "`mm.MixedBatches(datasets, batch_size=64, normalize=None, rgb=True)`, against `mm.loader` with the same "
        "settings over one task after the other. An overhead of 5 % is a ratio of 0.952.",
        prepare=every.make,
    )
