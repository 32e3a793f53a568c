"""A folder of results, made by hand."""

import pytest
from tests.benchmark.made import write_few_shot, write_run


@pytest.fixture(scope="session")
def results_folder(tmp_path_factory):
    """A folder with every kind of result. Copy it before you change it."""
    out = tmp_path_factory.mktemp("results")
    for task in ("bus/case category", "bus/malignancy", "cxr/disease labels", "dr_regular/Clarity"):
        for seed in (0, 1):
            write_run(out, task, seed=seed, data_partial=task.startswith("bus"))
    write_run(out, "bus/case category", backbone="resnet50")
    for method in ("finetune", "protonet"):
        for shots in (1, 5, 10):
            write_few_shot(out, shots=shots, auroc=0.6 + 0.02 * shots, method=method)
    return out
