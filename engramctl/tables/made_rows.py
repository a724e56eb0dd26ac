"""What rows of a new table were made of: the tensors read, and how many rows they decided."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from engramctl.counts.scheme_ngrams import SeenNgrams
from engramctl.hashing import Scheme
from engramctl.storage.files.safetensors_header import Tensor
from engramctl.storage.reading.source import CheckpointTables
from engramctl.storage.record.losses import Losses

Facts = dict[str, Any]
OWN = (
    "every token id is its own canonical id: an n-gram is the mean of the embeddings of its tokens"
)
JOINED = (
    "the counts are of token ids: an n-gram is the mean of the embeddings of its own tokens, and "
    "n-grams whose tokens are the same canonical ids meet in one row, weighted by their counts; so "
    "a canonical id has no embedding of its own"
)
SMALLEST = (
    "the counts are of canonical ids: each has the embedding of the smallest token id that maps to "
    "it, not a mean of all; an n-gram is the mean of those"
)


def tensors_read(rows: CheckpointTables, tensors: Mapping[str, Tensor]) -> list[Facts]:
    """Return the tensors that tables in place lie in: layer, name, file, dtype, shape."""
    places = {(one.path, one.offset): one for one in tensors.values()}
    return [
        {
            "layer": layer,
            "tensor": tensor.name,
            "file": str(tensor.path),
            "dtype": tensor.dtype,
            "shape": list(tensor.shape),
        }
        for layer in rows.layers
        for region in rows.regions(layer)
        if (tensor := places.get((region.path, region.offset))) is not None
    ]


def token_mean_facts(seen: SeenNgrams, embeddings: CheckpointTables, tensor: Facts) -> Facts:
    """Return what rows of token means are made of.

    Args:
        seen: the n-grams.
        embeddings: of the tokens.
        tensor: they lie in, as `tensors_read` has it.
    """
    scheme, columns = seen.scheme, embeddings.record.row_dim
    how = OWN
    if scheme.canonical.token_map is not None:
        how = SMALLEST if seen.canonical else JOINED
    return {
        **{name: value for name, value in tensor.items() if name != "layer"},
        "folded_to": None if columns == scheme.row_dim else scheme.row_dim,
        "orders": seen.orders,
        "token_ids": scheme.vocab_size,
        "canonical_ids": scheme.canonical.num_canonical,
        "canonical_id_embedding": how,
    }


class Told:
    """What was said of chunks of rows: what storing them lost, and how many were composed."""

    def __init__(self) -> None:
        """Nothing was said yet."""
        self.losses = Losses()
        self._composed: dict[int, int] = {}

    def told(self, remark: Any) -> None:
        """Add what one chunk says: its losses alone, or with `composed` (layer, rows)."""
        if isinstance(remark, dict):
            layer, rows = remark["composed"]
            self._composed[layer] = self._composed.get(layer, 0) + rows
            remark = remark["losses"]
        self.losses.told(remark)

    def counted(self, made: Mapping[str, Facts], scheme: Any) -> dict[str, Facts]:
        """Return the facts with composed and normal rows, where rows were composed."""
        if "token_mean" not in made or not isinstance(scheme, Scheme):
            return dict(made)
        layers = list(_layers(scheme, self._composed))
        total = sum(layer["rows"] for layer in layers)
        composed = sum(layer["composed_rows"] for layer in layers)
        counted = {**_rows(total, composed), "layers": layers}
        return {**made, "token_mean": {**made["token_mean"], **counted}}


def _layers(scheme: Scheme, composed: Mapping[int, int]) -> Iterator[Facts]:
    for layer in sorted(scheme.layers):
        yield {"layer": layer, **_rows(scheme.num_rows(layer), composed.get(layer, 0))}


def _rows(total: int, composed: int) -> Facts:
    return {
        "rows": total,
        "composed_rows": composed,
        "composed_percent": 100 * composed / total,
        "normal_rows": total - composed,
        "normal_percent": 100 * (total - composed) / total,
    }


def composed_remark(losses: Sequence[Any], layer: int, rows: int) -> dict[str, Any]:
    """Return what a chunk of composed rows says, as `Told` reads it."""
    return {"losses": losses, "composed": [layer, rows]}
