"""Two processes pre-train the same weights together, and end, also where one of them has nothing to validate."""

import json
import subprocess
import sys

import pytest
import torch

pytestmark = pytest.mark.skipif(torch.cuda.is_available(), reason="two processes need two GPUs where there is one")

SCRIPT = """
import json, pathlib, sys
import torch
import medimeta as mm
from medimeta.learning.pretraining.config import PretrainConfig
from medimeta.learning.pretraining.sources import find_sources

torch.set_num_threads(1)
root, out, settings = sys.argv[1], pathlib.Path(sys.argv[2]), json.loads(sys.argv[3])
config = PretrainConfig().changed(**settings)
pairs = find_sources(["bus/malignancy", "pbc/cell class"], root, config).pairs
found = mm.pretrain(pairs, config, devices=2, folder=out / "result")
weights = sum(value.double().sum().item() for value in found.model.state_dict().values())
rank = torch.distributed.get_rank()
(out / f"rank{rank}.json").write_text(json.dumps([weights, found.record["training"]["history"]]))
"""


@pytest.mark.parametrize("method", ["multi", "maml"])
def test_two_processes_end_with_the_same_weights(small_root, tmp_path, request, method):
    """MAML has one episode to validate here, so that the second process has none."""
    config = request.getfixturevalue(method).changed(max_epochs=2, batch_size=8, meta_batch_size=1)
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    call = [sys.executable, "-W", "ignore", str(script), str(small_root), str(tmp_path), json.dumps(config.as_dict())]
    done = subprocess.run(call, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    one, other = (json.loads((tmp_path / f"rank{rank}.json").read_text()) for rank in (0, 1))
    assert one == other
    assert len(one[1]) == 2
    assert (tmp_path / "result" / "backbone.safetensors").is_file()
