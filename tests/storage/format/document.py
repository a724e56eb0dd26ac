"""docs/format.md as code: its readers, and folders of every form to read."""

import copy
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from engramctl.storage.format.geometry import Layout
from engramctl.storage.format.manifest import Provenance
from engramctl.storage.record.record import RecordSpec
from engramctl.storage.writing.plan import TablePlan
from engramctl.storage.writing.seeded_values import RowInit
from tests.conftest import ROOT
from tests.storage import dictionaries
from tests.storage.tables import write

DOCS = ROOT / "docs"
ENTRIES = dictionaries.ENTRIES
HEADS = tuple(pairwise([0, 100, 101, 380, 600]))


def make(
    folder: Path,
    dtype: str,
    form: str,
    page: int | None = None,
    heads: int | None = None,
    *,
    dictionary: bool = False,
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
    if dictionary:
        dictionaries.write_with_dictionary(plan, folder)
    else:
        write(plan, folder)
    return folder


FORMS: list[tuple[str, int | None, int | None]] = [
    ("planar", None, None),
    ("packed", None, 3),
    ("paged", None, None),
    ("paged", 1024, 2),
    ("planar", None, 2),
]


def reader(name: str = "read_rows") -> Any:
    block, most_lines = {"read_rows": (1, 60), "read_dictionary": (2, 35)}[name]
    text = (DOCS / "format.md").read_text()
    code = text.split("```python\n")[block].split("```")[0]
    assert "engramctl." not in code.replace("engramctl.table/1", "")
    assert len(code.strip().splitlines()) <= most_lines
    namespace: dict[str, Any] = {}
    exec(code, namespace)
    return namespace[name]


VALUES: list[Any] = [
    None, -1, 0, 1.5, 1 << 64, "", "x", "../layer01.weight.000.safetensors", [], {}, True, [0, 0],
    "/etc/passwd", ["f" * 32], {"a": 1}, "layer1.weight.000.safetensors", 5000, float("nan"),
    1, 2, [2], 1 << 20,
]  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, inner in items:
            if path or key != "scheme":
                found += places(inner, (*path, key))
    return found


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
