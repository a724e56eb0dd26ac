"""docs/format.md and the JSON schema say what the code does."""

import json
import re
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engramctl.errors import FormatError
from engramctl.hashing.kernels.keys import pack_windows
from engramctl.runtime.fmix64 import fmix64
from engramctl.storage.dictionary.read import DictionaryFiles
from engramctl.storage.format.dictionary_index import bucket_bits
from engramctl.storage.format.manifest_check import parse_manifest
from engramctl.storage.reading.table import open_table
from engramctl.storage.record.dtypes import DTYPES
from engramctl.storage.verifying.integrity import verify
from tests.storage import dictionaries
from tests.storage.format.document import DOCS, ENTRIES, FORMS, make, mutated, reader

SCHEMA = json.loads((DOCS / "manifest.schema.json").read_text())


@pytest.mark.parametrize(("form", "page", "heads"), FORMS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_documents_reader_reads_what_ours_reads(
    tmp_path: Path, dtype: str, form: str, page: int | None, heads: int | None
) -> None:
    folder = make(tmp_path / "table", dtype, form, page, heads)
    ids = np.random.default_rng(0).integers(0, 600, 400)
    wanted = np.concatenate(open_table(folder).read_rows(4, ids), axis=1)
    assert np.array_equal(reader()(str(folder), 4, ids), wanted)
    jsonschema.validate(json.loads((folder / "manifest.json").read_text()), SCHEMA)


@pytest.mark.parametrize(("form", "page", "heads"), FORMS)
def test_the_documents_dictionary_reader_finds_and_reads_what_ours_does(
    tmp_path: Path, form: str, page: int | None, heads: int | None
) -> None:
    folder = make(tmp_path / "table", "f8_e4m3", form, page, heads, dictionary=True)
    jsonschema.validate(json.loads((folder / "manifest.json").read_text()), SCHEMA)
    which, held = dictionaries.present()
    keys = np.concatenate([held, dictionaries.absent()[1], held + np.array([0, 16], np.uint64)])
    with DictionaryFiles.open(folder, open_table(folder).manifest) as ours:
        for order_index in range(len(dictionaries.ORDERS)):
            found, records = reader("read_dictionary")(str(folder), order_index, keys)
            assert found.dtype == np.int64
            assert np.array_equal(found, ours.find(order_index, keys))
            wanted = {tuple(key) for key in held[which == order_index].tolist()}
            assert [tuple(key) in wanted for key in keys.tolist()] == (found >= 0).tolist()
            assert set(keys[found >= 0, 1].tolist()) == set(range(16))
            assert np.array_equal(records, ours.read(found[found >= 0]))
            for place, layer in enumerate((3, 4)):
                ids = dictionaries.rows(600, layer)[found[found >= 0]]
                rows = reader()(str(folder), layer, ids.reshape(-1)).reshape(len(ids), -1)
                assert np.array_equal(np.split(records, 2, axis=1)[place], rows)


def test_the_documents_dictionary_headers_are_those_of_the_files(tmp_path: Path) -> None:
    folder = make(tmp_path / "table", "f8_e4m3", "paged", dictionary=True)
    dictionary = open_table(folder).manifest.dictionary
    assert dictionary is not None
    places = (1 << dictionary.bucket_bits) + 1
    for facts, first in zip(dictionary.files, ("records", "__metadata__"), strict=True):
        line = re.search(f'`({{"{first}":.*}})`', (DOCS / "format.md").read_text())
        assert line is not None
        text = line[1].replace("RECORD_BYTES", str(dictionary.record_bytes))
        text = text.replace("DATA_BYTES", str(facts.data_bytes)).replace("ENTRIES", str(ENTRIES))
        text = text.replace("[P]", f"[{places}]").replace("R]", f"{8 * ENTRIES}]")
        text = text.replace("[R,", f"[{8 * ENTRIES},")
        text = text.replace("KEY_BITS", str(dictionaries.KEY_BITS)).replace("ORDERS", "2,4")
        wanted = (4088).to_bytes(8, "little") + text.encode().ljust(4088)
        assert (folder / facts.file).read_bytes()[:4096] == wanted


def test_the_worked_key_of_the_page_is_what_the_code_makes() -> None:
    text = (DOCS / "format.md").read_text()
    example = text.split("**Example.** V4.1, 2^20 entries")[1].split("\n\n")[0]
    walk = [np.array([[one]]) for one in (8, 7, 6, 100_000)]
    low, high = map(int, pack_windows(walk, (2, 3, 4), 129_280)[0, 0, 2])
    assert f"the key {high << 64 | low:#x}: high = {high},\nlow = {low:#x}." in example
    mixed = int(fmix64(np.uint64(low)))
    s = (high << 2) + 2
    bucket = (s + (mixed >> 47)) % (1 << 17)
    assert f"m = {mixed:#x}, s = {s}, bucket = {mixed >> 47:#x} + {s} = {bucket:,}." in example
    assert bucket_bits(1 << 20, 3, 68) == 17


@settings(deadline=None)
@given(st.integers(0, 2**64 - 1))
def test_the_documents_unmix_undoes_mix(x: int) -> None:
    text = (DOCS / "format.md").read_text().split("    unmix(x):")[1]
    y = int(fmix64(np.uint64(x)))
    for factor in re.findall(r"\(x >> 33\)\) \* (0x[0-9A-F]{16})", text)[:2]:
        y = (y ^ (y >> 33)) * int(factor, 16) % 2**64
    assert y ^ (y >> 33) == x


def test_the_schema_knows_every_dtype() -> None:
    layout = SCHEMA["properties"]["layout"]["properties"]
    assert tuple(layout["dtype"]["enum"]) == DTYPES


@pytest.mark.parametrize("dictionary", [False, True])
def test_what_the_schema_refuses_the_code_refuses(tmp_path: Path, dictionary: bool) -> None:
    folder = make(tmp_path / "t", "nvfp4", "paged", 1024, 2, dictionary=dictionary)
    document = json.loads((folder / "manifest.json").read_text())
    validator = jsonschema.Draft202012Validator(SCHEMA)
    random = np.random.default_rng(0)
    by_both = by_code = 0
    for case in range(1500):
        changed = mutated(document, random)
        if dictionary and case % 2:
            changed = {**document, "dictionary": mutated(document["dictionary"], random)}
        valid = validator.is_valid(changed)
        try:
            parse_manifest(changed, tmp_path / "manifest.json")
        except FormatError:
            by_code += 1
            by_both += not valid
        else:
            assert valid, changed
    assert by_code > by_both > 500  # sums are for the code alone


def test_verify_reads_every_form(tmp_path: Path) -> None:
    for number, (form, page, heads) in enumerate(FORMS):
        folder = make(tmp_path / str(number), "int8", form, page, heads)
        assert verify(folder).num_bytes > 0
