from pathlib import Path

import pytest

from tests.helpers.small_table import small_table


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_table(tmp_path_factory.mktemp("bench") / "shards", slots=600, tier="ssd").path
