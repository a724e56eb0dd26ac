"""A dictionary's record is, byte for byte, what a direct gather of the n-gram's rows gives."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engramctl.hashing import make_scheme
from engramctl.ngram_records import plan_ngrams, record_bytes, write_ngram_file
from engramctl.storage.ngram_file import NgramFile
from engramctl.storage.ngram_manifest import parse_dictionary, table_digest
from engramctl.storage.reader import open_table
from tests.conftest import run_in_process
from tests.mining.conftest import write_ids, zipf_documents
from tests.storage.tables import make_plan, write


@pytest.mark.parametrize("name", ["deepseek-v41", "engram", "qwen-ple"])
@pytest.mark.parametrize("mapped", [False, True])
def test_every_key_found_gives_the_rows_of_a_direct_gather(
    name: str, mapped: bool, tmp_path: Path
) -> None:
    vocabulary: dict[str, Any] = {"token_map": np.arange(64) // 3} if mapped else {"vocab_size": 64}
    eos: dict[str, Any] = {"eos_id": 6} if name == "qwen-ple" else {}
    scheme = make_scheme(name, slots=97, heads_per_order=2, layers=(1, 4), **vocabulary, **eos)
    documents = zipf_documents(seed=3, tokens=3000, vocabulary=40)
    corpus = write_ids(tmp_path / "corpus.parquet", documents)
    assert run_in_process("mine", corpus, "-o", tmp_path / "counts", "-q").exit_code == 0
    rows = {layer: scheme.num_rows(layer) for layer in scheme.layers}
    write(make_plan(form="paged", rows=rows), tmp_path / "table")
    table = open_table(tmp_path / "table")
    size = record_bytes(scheme, table)
    plan = plan_ngrams(scheme, tmp_path / "counts", 400 * size, size)
    digest = table_digest(table.manifest)
    contents = []
    for workers in (1, 3):
        folder = tmp_path / f"out{workers}"
        folder.mkdir()
        entry = write_ngram_file(folder, plan, table, digest, workers=workers)
        contents.append([one.read_bytes() for one in sorted(folder.iterdir())])
    assert contents[0] == contents[1]
    assert sum(map(len, contents[0])) <= 400 * size
    hits = 0
    with NgramFile.open(folder, parse_dictionary(entry, folder), digest) as file:
        assert file.verify() > 0
        for document in np.array_split(np.random.default_rng(5).integers(0, 12, 600), 20):
            keys = scheme.ngram_keys(document)
            for number in range(len(scheme.orders)):
                found = file.find(number, np.ascontiguousarray(keys[:, number]))
                hit = np.flatnonzero(found >= 0)
                hits += len(hit)
                records = file.read(found[hit]).reshape(len(hit), 2, 2, table.record.record_bytes)
                for place, layer in enumerate(scheme.layers):
                    ids = scheme.row_ids(document, layer)[hit, 2 * number : 2 * number + 2]
                    parts = table.read_rows(layer, ids.reshape(-1))
                    direct = np.concatenate(parts, axis=1).reshape(
                        len(hit), 2, table.record.record_bytes
                    )
                    assert np.array_equal(records[:, place], direct)
    assert hits > 20
