"""An n-gram log looked at: what a store would find, from a header that cannot ask for much."""

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from engramctl.errors import FormatError
from engramctl.storage.record_log.log_format import PAGE
from engramctl.storage.record_log.read_log import opened_log
from tests.storage.record_log.logs import LARGER, SMALL, append, ngrams, small_log


@given(st.integers(0, 40), st.sampled_from([SMALL, LARGER]), st.integers(0, 1 << 20))
def test_it_finds_what_a_store_that_opens_the_file_finds(
    tmp_path_factory: pytest.TempPathFactory, count: int, words: dict[str, Any], cut: int
) -> None:
    path = tmp_path_factory.mktemp("log") / "records.log"
    with small_log(path, **words) as log:
        append(log, ngrams(count))
    data = path.read_bytes()
    path.write_bytes(data[: max(PAGE, len(data) - cut)])
    before = path.read_bytes(), path.stat().st_mtime_ns
    with opened_log(path) as found:
        segments = list(found.segments())
        assert found.file_bytes == len(before[0])
        assert found.log_format.facts()["record_bytes"] == words["record_bytes"]
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before
    with small_log(path, **words) as log:
        assert log.entries == sum(len(one.heads) for one in segments)
    assert [one.sequence for one in segments] == sorted(one.sequence for one in segments)


def test_a_log_that_a_store_fills_is_looked_at_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "records.log"
    with small_log(path, **LARGER) as log:
        append(log, ngrams(30))
        with opened_log(path) as found:
            [segment] = found.segments()
            assert 0 < len(segment.heads) <= 30


def header(**changed: Any) -> bytes:
    """The first page of a log that says something else, with the right checksum."""
    facts = {"table_xxh3_128": "0" * 32, "record_bytes": 64, "num_orders": 2, "key_bits": 40,
             "segment_bytes": 3 * PAGE, "num_segments": 3, **changed}  # fmt: skip
    version = facts.pop("version", 1)
    text = json.dumps(facts, separators=(",", ":")).encode()
    rest = (struct.pack("<II", version, len(text)) + text).ljust(PAGE - 16, b"\0")
    return b"EGRAMLOG" + struct.pack("<Q", xxhash.xxh3_64_intdigest(rest)) + rest


WRONG: list[dict[str, Any]] = [
    {"record_bytes": 0}, {"record_bytes": 1 << 40}, {"record_bytes": "64"}, {"record_bytes": True},
    {"num_orders": 0}, {"num_orders": 1 << 20}, {"key_bits": 0}, {"key_bits": 129},
    {"segment_bytes": 2 * PAGE}, {"segment_bytes": 3 * PAGE + 1}, {"segment_bytes": 1 << 60},
    {"num_segments": 1}, {"num_segments": 1 << 60}, {"num_segments": -1}, {"num_segments": 2.5},
    {"table_xxh3_128": "0" * 31}, {"table_xxh3_128": None}, {"version": 2}, {"more": 1},
]  # fmt: skip


@pytest.mark.parametrize("changed", WRONG, ids=str)
def test_a_header_that_says_what_cannot_be_is_refused(
    tmp_path: Path, changed: dict[str, Any]
) -> None:
    path = tmp_path / "records.log"
    path.write_bytes(header() + bytes(9 * PAGE))
    with opened_log(path) as found:
        assert (found.num_segments, list(found.segments())) == (3, [])
    path.write_bytes(header(**changed) + bytes(9 * PAGE))
    with pytest.raises(FormatError, match="is no n-gram log, or"), opened_log(path):
        pass


@pytest.mark.parametrize("at", [0, 9, 17, 30, 200, PAGE - 1])
def test_a_damaged_header_is_refused(tmp_path: Path, at: int) -> None:
    path = tmp_path / "records.log"
    data = np.frombuffer(header(), np.uint8).copy()
    data[at] ^= 1
    path.write_bytes(data.tobytes())
    with pytest.raises(FormatError, match="header is damaged"), opened_log(path):
        pass


def test_no_more_is_read_than_the_file_has(tmp_path: Path) -> None:
    path = tmp_path / "records.log"
    path.write_bytes(header(num_segments=1 << 20) + bytes(PAGE))
    with opened_log(path) as found:
        assert found.num_segments == 1
        assert found.read(PAGE, 1 << 60) == bytes(PAGE)
        assert found.read(1 << 50, 1 << 60) == b""
