"""All that a script sees of `MedIMeta`, as JSON. Arguments: MODULE ROOT CASES; a case is [dataset, task, options].

The same file runs with the released package (MODULE is ``medimeta``) and with ours (``medimeta.interop.released``): the
import line is all that differs.
"""

import hashlib
import importlib
import json
import sys

import numpy as np
import torch

ATTRIBUTES = [
    "dataset_id",
    "task_name",
    "split",
    "original_split",
    "dataset_subdir",
    "dataset_name",
    "classes",
    "task_identifier",
    "domain_identifier",
    "input_size",
    "num_channels",
    "image_dir",
    "label_file",
    "hdf5_path",
    "use_hdf5",
    "use_split_indices",
]


def digest(array):
    """Tell an array from any other, with its dtype and shape."""
    array = np.asarray(array)
    return [str(array.dtype), list(array.shape), hashlib.sha256(array.tobytes()).hexdigest()]


def see(make, root, dataset, task, options):
    """Return what one object has to offer."""
    samples = make(root, dataset, task, **options)
    pictures = make(root, dataset, task, transform=lambda image: image, **options)
    last = samples[-1]
    return {
        "attributes": {name: getattr(samples, name) for name in ATTRIBUTES},
        "info": samples.info,
        "indices": getattr(samples, "split_indices", None) if samples.use_split_indices else None,
        "labels": digest(samples.labels),
        "per class": np.asarray(samples.get_num_samples_per_class()).tolist(),
        "description": repr(samples.task_description),
        "target": samples.task_target.name,
        "length": len(samples),
        "items": [
            [digest(image), digest(label), type(label).__name__]
            for image, label in map(samples.__getitem__, range(len(samples)))
        ],
        "odd indices": [digest(samples[np.int64(1)][0]), digest(samples[torch.tensor(1)][0]), digest(last[0])],
        "pictures": [
            [image.mode, image.size, digest(image)] for image, _ in map(pictures.__getitem__, range(len(pictures)))
        ],
        "batch": [digest(part) for part in next(iter(torch.utils.data.DataLoader(samples, batch_size=3)))],
    }


def refusals(make, root, dataset, task):
    """Return which wrong calls are a ValueError or an IndexError."""
    calls = {
        "dataset": lambda: make(root, "nosuch", task),
        "task": lambda: make(root, dataset, "nosuch"),
        "split": lambda: make(root, dataset, task, split="nosuch"),
        "original split": lambda: make(root, dataset, task, original_split="nosuch"),
        "both": lambda: make(root, dataset, task, split="train", original_split="train"),
        "index": lambda: make(root, dataset, task)[10**6],
    }
    found = {}
    for name, call in calls.items():
        try:
            call()
        except (ValueError, IndexError) as error:
            found[name] = "ValueError" if isinstance(error, ValueError) else "IndexError"
    return found


def main(module, root, cases):
    """Print what there is."""
    package = importlib.import_module(module)
    make = package.MedIMeta
    cases = json.loads(cases)
    answer = {
        "datasets": sorted(package.get_available_datasets(root)),
        "tasks": dict(sorted(package.get_available_tasks(root).items())),
        "infos": {case[0]: make.get_info_dict(root, case[0]) for case in cases},
        "refusals": refusals(make, root, *cases[0][:2]),
        "cases": [see(make, root, *case) for case in cases],
        "several": make(root, *cases[0][:2]).get_split_indices(["test", "val"]),
    }
    print(json.dumps(answer))


if __name__ == "__main__":
    main(*sys.argv[1:])
