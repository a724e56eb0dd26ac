"""What `inspect --counts` says does not depend on which ids the counts are of."""

from pathlib import Path

import pytest

from engramctl.describe.scheme_on_counts import diagnose_counts
from tests.helpers.corpora import zipf_documents
from tests.helpers.mined_counts import mined, small_scheme

DOCUMENTS = zipf_documents(seed=3, tokens=2000, vocabulary=60)


@pytest.mark.parametrize("name", ["deepseek-v41", "qwen-ple"])
def test_counts_of_canonical_ids_and_of_token_ids_show_the_same_load(
    name: str, tmp_path: Path
) -> None:
    scheme = small_scheme(name, 64, mapped=True, eos_id=6, slots=50)
    found = []
    for canonical in (False, True):
        (tmp_path / str(canonical)).mkdir()
        _, counts = mined(tmp_path / str(canonical), scheme, DOCUMENTS, canonical=canonical)
        found.append(diagnose_counts(scheme, counts)["orders"])
    assert found[0] == found[1]
