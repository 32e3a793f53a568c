"""What was downloaded is read by the released class as well."""

import json

import pytest
from tests.hub.releases import make_releases
from tests.hub.server import Server

from medimeta.cli.boundary import run


@pytest.mark.released
def test_the_released_class_reads_what_was_downloaded(with_released, tmp_path):
    """It sees the same in a folder that was downloaded as in the one that was packed."""
    releases = make_releases(tmp_path / "releases")
    cases = [["bus", "malignancy", {"split": "train"}], ["pbc", "cell class", {"split": "test", "use_hdf5": False}]]
    with Server() as server:
        server.record({path.name: path for path in sorted(releases.folder.iterdir())})
        root = tmp_path / "root"
        assert run(["download", "bus", "pbc", "--mirror", server.url(), "--root", str(root)]) == 0
    packed, downloaded = (
        json.loads(json.dumps(with_released("items.py", "medimeta", place, json.dumps(cases))).replace(str(place), ""))
        for place in (releases.root, root)
    )
    assert downloaded["datasets"] == ["bus", "pbc"]
    assert downloaded["cases"] == packed["cases"]
    assert all(case["length"] > 0 for case in downloaded["cases"])
