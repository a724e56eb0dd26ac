"""The schemes that have a name: one described, all listed."""

from typing import Any

from engramctl.describe.checkpoints import scheme_facts
from engramctl.hashing import PRESETS, Lookup, make_scheme
from engramctl.output import Table
from engramctl.storage.record.record import RecordSpec
from engramctl.terminal.quantities import size_words

_CAPTION = (
    "heads: of each order; rows, table: of all layers together; layer 0 feeds the input embedding\n"
    "one in full: engramctl inspect NAME; a table of one: engramctl build --scheme NAME"
)


def described_scheme(scheme: Lookup) -> dict[str, Any]:
    """Return what a scheme reads, as `inspect` says it: JSON, `layers` a list."""
    layers = [{"layer": n, "num_rows": scheme.num_rows(n)} for n in scheme.layers]
    return {"kind": "scheme", **scheme_facts(scheme), "layers": layers}


def named_schemes() -> dict[str, Any]:
    """Return the JSON document of all schemes that have a name, sizes in bytes."""
    return {"kind": "schemes", "schemes": [_listed(name) for name in PRESETS]}


def schemes_tables(document: dict[str, Any], *, raw: bool) -> list[Table]:
    """Return the table of that document.

    Args:
        document: of `named_schemes`.
        raw: for programs: sizes as numbers.
    """
    rows = []
    for one in document["schemes"]:
        row: dict[str, Any] = {
            name.removesuffix("_per_order").removeprefix("num_"): ", ".join(map(str, value))
            if isinstance(value, list)
            else value
            for name, value in one.items()
        }
        if not raw:
            row["table"] = size_words(row.pop("table_bytes"))
        rows.append(row)
    return [Table("named schemes", rows, "" if raw else _CAPTION)]


def _listed(name: str) -> dict[str, Any]:
    preset, scheme = PRESETS[name], make_scheme(name)
    rows = sum(scheme.num_rows(layer) for layer in scheme.layers)
    return {
        "name": name,
        "family": preset.fuse,
        "layers": list(preset.layers),
        "orders": list(preset.orders),
        "heads_per_order": preset.heads_per_order,
        "slots": preset.slots,
        "num_rows": rows,
        "row_dim": preset.row_dim,
        "dtype": preset.dtype,
        "table_bytes": rows * RecordSpec(preset.dtype, preset.row_dim).record_bytes,
    }
