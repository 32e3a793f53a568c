"""What ran: versions, devices, data, settings, time."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

from medimeta.benchmark.record import Record
from medimeta.benchmark.rows import OF_THE_CELL, Row, flat, natural, task_place

RULES = {
    "skip": "A class without positives or negatives in the test split has no AUROC and is left out of the mean.",
    "zero": "A class without positives or negatives in the test split counts 0 in the mean, as in release 1.0.",
}


@dataclass(frozen=True)
class Data:
    """A dataset as it was: its fingerprint, samples by split, and whether it is whole."""

    dataset: str
    fingerprint: str
    samples: str
    partial: bool


@dataclass(frozen=True)
class Protocol:
    """Settings that runs share: their digest, and those in which protocols differ."""

    digest: str
    method: str
    backbone: str
    runs: int
    differing: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Overview:
    """What stands at the top of the page."""

    figures: tuple[tuple[str, str], ...]
    facts: tuple[tuple[str, str], ...]
    rules: tuple[str, ...]
    data: tuple[Data, ...]
    protocols: tuple[Protocol, ...]
    shared: tuple[tuple[str, str], ...]

    @property
    def partial(self) -> bool:
        """Whether any dataset was built from a part of its original."""
        return any(each.partial for each in self.data)


def make_overview(records: Sequence[Record], rows: Sequence[Row], failed: int) -> Overview:
    """Sum up records.

    Parameters
    ----------
    records : sequence of Record
        Finished runs.
    rows : sequence of Row
        The same by cell.
    failed : int
        Cells without a record.
    """
    seconds = sum(record.seconds for record in records)
    figures = [
        ("finished runs" if len(records) != 1 else "finished run", f"{len(records):,}"),
        *([("failed", f"{failed:,}")] if failed else []),
        _counted({record.task for record in records}, "task"),
        _counted({row.backbone for row in rows}, "backbone"),
        *([_counted(methods, "method")] if len(methods := {row.method for row in rows}) > 1 else []),
        _counted({record.seed for record in records}, "seed"),
        ("of computing", duration(seconds)),
    ]
    speeds = [record.images_per_second for record in records]
    memory = [record.peak_memory_mb for record in records if record.peak_memory_mb is not None]
    libraries = sorted({(name, version) for record in records for name, version in record.versions.items()})
    names = dict.fromkeys(name for name, _ in libraries)
    versions = [f"{name} {' and '.join(version for each, version in libraries if each == name)}" for name in names]
    facts = [
        ("Package", ", ".join(sorted({record.package for record in records}))),
        ("Libraries", ", ".join(versions)),
        ("Device", "; ".join(sorted({record.device for record in records}))),
        ("Speed", _range(speeds, "images/s") if speeds else ""),
        ("Peak memory", _range([value / 1000 for value in memory], "GB", 1) if memory else ""),
    ]
    rules = sorted({str(record.test["absent"]) for record in records if record.test.get("absent")})
    protocols, shared = _protocols(records)
    return Overview(
        figures=tuple(figures),
        facts=tuple((name, value) for name, value in facts if value),
        rules=tuple(RULES.get(rule, rule) for rule in rules),
        data=_data(records),
        protocols=protocols,
        shared=shared,
    )


def duration(seconds: float) -> str:
    """Return a time as a person says it.

    Examples
    --------
    >>> duration(7.4), duration(440), duration(7300)
    ('7 s', '7 min', '2 h 2 min')
    """
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _counted(things: set[object] | set[str] | set[int], name: str) -> tuple[str, str]:
    return (name if len(things) == 1 else f"{name}s", f"{len(things):,}")


def _range(values: Sequence[float], unit: str, digits: int = 0) -> str:
    low, high = f"{min(values):,.{digits}f}", f"{max(values):,.{digits}f}"
    return f"{low} {unit}" if low == high else f"{low} to {high} {unit}"


def _data(records: Sequence[Record]) -> tuple[Data, ...]:
    found = {}
    for record in sorted(records, key=lambda record: (task_place(record.task), record.data)):
        dataset = record.task.partition("/")[0]
        samples = ", ".join(f"{count:,} {split}" for split, count in record.samples.items())
        fingerprint = record.data.removeprefix("sha256:")
        found[dataset, fingerprint] = Data(dataset, fingerprint, samples, record.data_partial)
    return tuple(found.values())


def _protocols(records: Sequence[Record]) -> tuple[tuple[Protocol, ...], tuple[tuple[str, str], ...]]:
    groups: dict[tuple[str, str, str], list[dict[str, str]]] = {}
    for record in records:
        settings = {name: value for name, value in flat(record.config).items() if name not in OF_THE_CELL}
        digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()
        groups.setdefault((record.method, record.backbone, digest), []).append(settings)
    every = [found[0] for found in groups.values()]
    names = sorted({name for settings in every for name in settings})
    same = [name for name in names if len({settings.get(name) for settings in every}) == 1]
    protocols = [
        Protocol(
            digest,
            method,
            backbone,
            len(found),
            tuple((name, value) for name, value in sorted(found[0].items()) if name not in same),
        )
        for (method, backbone, digest), found in groups.items()
    ]
    protocols.sort(key=lambda each: (each.method != "supervised", each.method, natural(each.backbone), each.digest))
    return tuple(protocols), tuple((name, every[0][name]) for name in same) if every else ()
