"""Fixtures of the tests of downloads."""

import pytest
from tests.hub.releases import ReleasedArchives, make_releases


@pytest.fixture(scope="session")
def releases(tmp_path_factory: pytest.TempPathFactory) -> ReleasedArchives:
    """Pack synthetic datasets as the release's archives, once a session. Copy what you change."""
    return make_releases(tmp_path_factory.mktemp("releases"))
