"""The bytes of a log are those of docs/format.md: read here by its tables alone."""

import json
import struct
from pathlib import Path

import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from engramctl.errors import ConfigError
from engramctl.storage.record_log.log_format import LogFormat
from tests.storage.record_log.logs import (
    DIGEST,
    RECORD_BYTES,
    SMALL,
    Ngram,
    append,
    ngrams,
    record_of,
    small_log,
)

PAGE = 4096


def as_documented(file: bytes) -> dict[int, tuple[bool, list[Ngram]]]:
    """The segments in use by sequence number: sealed or not, and their n-grams."""
    assert file[:8] == b"EGRAMLOG"
    digest, version, length = struct.unpack_from("<QII", file, 8)
    assert (digest, version) == (xxhash.xxh3_64_intdigest(file[16:PAGE]), 1)
    facts = json.loads(file[24 : 24 + length])
    assert len(file) == PAGE + facts["num_segments"] * facts["segment_bytes"]
    size, found = 32 + facts["record_bytes"], {}
    for begin in range(PAGE, len(file), facts["segment_bytes"]):
        segment = file[begin : begin + facts["segment_bytes"]]
        if not any(segment):
            continue
        magic, sequence, table, digest = struct.unpack_from("<8sQ16sQ", segment)
        assert (magic, table.hex()) == (b"EGRAMSEG", facts["table_xxh3_128"])
        assert digest == xxhash.xxh3_64_intdigest(segment[:32])
        heads, held = b"", []
        for at in range(PAGE, len(segment) - size, size):
            digest, low, high, order, zero = struct.unpack_from("<QQQII", segment, at)
            if digest != xxhash.xxh3_64_intdigest(segment[at + 8 : at + size], sequence):
                break
            assert zero == 0
            assert segment[at + 32 : at + size] == record_of((order, low, high)).tobytes()
            heads += segment[at : at + 32]
            held.append((order, low, high))
        end = PAGE + -(-len(held) * size // PAGE) * PAGE
        magic, digest, of, count = struct.unpack_from("<8sQQQ", segment, end)
        sealed = (magic, of) == (b"EGRAMEND", sequence)  # not an older life's
        if sealed:
            stop = end + -(-(32 + len(heads)) // PAGE) * PAGE
            assert digest == xxhash.xxh3_64_intdigest(segment[end + 16 : stop])
            assert count == len(held)
            assert segment[end + 32 : end + 32 + len(heads)] == heads
            assert not any(segment[end + 32 + len(heads) :])
        found[sequence] = sealed, held
    return found


def test_a_log_is_what_the_page_says(tmp_path: Path) -> None:
    these = ngrams(40)
    with small_log(tmp_path / "log") as log:
        append(log, these[:9])
    with small_log(tmp_path / "log") as log:
        append(log, these[9:11])
    assert as_documented((tmp_path / "log").read_bytes()) == {
        4: (True, these[6:8]),
        5: (True, these[8:10]),
        6: (False, these[10:11]),
    }


def test_the_header_is_these_bytes() -> None:
    header = LogFormat.planned(**SMALL).file_header()
    text = (
        f'{{"table_xxh3_128":"{DIGEST}","record_bytes":{RECORD_BYTES},"num_orders":3,'
        '"key_bits":68,"segment_bytes":12288,"num_segments":3}'
    )
    assert header[24:].rstrip(b"\0") == text.encode()
    assert header[:24].hex() == "454752414d4c4f47" + header[8:16].hex() + "010000008d000000"


@given(st.integers(1, 9000), st.integers(0, 1 << 22), st.integers(0, 1 << 21))
def test_the_parts_of_a_segment_fit_it_and_no_entry_more_would(
    record_bytes: int, size_bytes: int, segment_bytes: int
) -> None:
    sizes = {
        "record_bytes": record_bytes, "size_bytes": size_bytes, "segment_bytes": segment_bytes,
    }  # fmt: skip
    try:
        planned = LogFormat.planned(**{**SMALL, **sizes})
    except ConfigError:
        return
    entries, size = planned.entries_per_segment, planned.entry_bytes
    assert planned.file_bytes <= size_bytes
    assert planned.num_segments >= 2
    assert entries >= 1
    assert planned.footer_offset + planned.footer_bytes <= planned.segment_bytes
    assert planned.footer_offset >= PAGE + entries * size
    assert planned.footer_bytes >= 32 + 32 * entries
    more = (entries + 1) * size
    pages = -(-more // PAGE) - (-(32 + 32 * (entries + 1)) // PAGE)
    assert PAGE * (1 + pages) > planned.segment_bytes


def test_records_of_no_bytes_or_too_many_are_refused() -> None:
    for record_bytes in (0, (1 << 30) + 1):
        with pytest.raises(ConfigError, match="no records"):
            LogFormat.planned(**{**SMALL, "record_bytes": record_bytes, "size_bytes": 1 << 40})
