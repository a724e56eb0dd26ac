"""docs/format.md and the JSON schema say what the code does."""

import copy
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from engramctl.errors import FormatError
from engramctl.storage.dtypes import DTYPES
from engramctl.storage.geometry import Layout
from engramctl.storage.integrity import verify
from engramctl.storage.manifest import Provenance
from engramctl.storage.manifest_check import parse_manifest
from engramctl.storage.plan import TablePlan
from engramctl.storage.reader import open_table
from engramctl.storage.record import RecordSpec
from engramctl.storage.rows import RowInit
from tests.storage.tables import write

DOCS = Path(__file__).parents[2] / "docs"
SCHEMA = json.loads((DOCS / "manifest.schema.json").read_text())
HEADS = tuple(pairwise([0, 100, 101, 380, 600]))


def make(
    folder: Path, dtype: str, form: str, page: int | None = None, heads: int | None = None
) -> Path:
    spec = RecordSpec(dtype, 96)
    plan = TablePlan(
        kind="tables" if form == "planar" else "shards",
        tier=None if form == "planar" else "ssd",
        created_by="engramctl test",
        scheme={"name": "opaque"},
        provenance=Provenance(command=("engramctl", "build"), seed=1),
        layout=Layout.of(form, spec, page),
        num_rows={3: 600, 4: 600},
        shard_rows=170,
        extent_bytes=8192,
        alignment_bytes=8192,
        table_scales=dict.fromkeys((3, 4), RowInit().table_scale(spec)),
        head_rows={3: HEADS, 4: HEADS},
        head_shards=heads,
    )
    write(plan, folder)
    return folder


FORMS: list[tuple[str, int | None, int | None]] = [
    ("planar", None, None),
    ("packed", None, 3),
    ("paged", None, None),
    ("paged", 1024, 2),
    ("planar", None, 2),
]


def reader() -> Any:
    text = (DOCS / "format.md").read_text()
    code = text.split("```python\n")[1].split("```")[0]
    assert "engramctl." not in code.replace("engramctl.table/1", "")
    assert len(code.strip().splitlines()) <= 60
    namespace: dict[str, Any] = {}
    exec(code, namespace)
    return namespace["read_rows"]


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


def test_the_schema_knows_every_dtype() -> None:
    layout = SCHEMA["properties"]["layout"]["properties"]
    assert tuple(layout["dtype"]["enum"]) == DTYPES


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, inner in items:
            if path or key != "scheme":
                found += places(inner, (*path, key))
    return found


VALUES: list[Any] = [
    None, -1, 0, 1.5, 1 << 64, "", "x", "../layer01.weight.000.safetensors", [], {}, True, [0, 0],
    "/etc/passwd", ["f" * 32], {"a": 1}, "layer1.weight.000.safetensors", 5000, float("nan"),
]  # fmt: skip


def mutated(document: dict[str, Any], random: np.random.Generator) -> dict[str, Any]:
    changed = copy.deepcopy(document)
    known = places(changed)
    path = known[random.integers(len(known))]
    inner: Any = changed
    for key in path[:-1]:
        inner = inner[key]
    choice = random.integers(4)
    if choice == 0 and isinstance(inner, dict):
        del inner[path[-1]]
    elif choice == 1 and isinstance(inner, dict):
        inner[f"{path[-1]}x"] = 1
    else:
        inner[path[-1]] = VALUES[random.integers(len(VALUES))]
    return changed


def test_what_the_schema_refuses_the_code_refuses(tmp_path: Path) -> None:
    document = json.loads(
        (make(tmp_path / "t", "nvfp4", "paged", 1024, 2) / "manifest.json").read_text()
    )
    validator = jsonschema.Draft202012Validator(SCHEMA)
    random = np.random.default_rng(0)
    by_both = by_code = 0
    for _ in range(1500):
        changed = mutated(document, random)
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
