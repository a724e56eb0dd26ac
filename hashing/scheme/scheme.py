"""Scheme: the named recipe n-gram -> row id, as data.

A scheme holds its recipe (seed, sizes, generators) and everything derived from it (multipliers,
moduli, offsets, totals). Its JSON form carries both, and loading derives again and refuses a
mismatch, because one wrong constant reads fluent, wrong rows.
"""

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from engramctl.errors import ConfigError
from engramctl.hashing.kernels.keys import id_bits, window_keys
from engramctl.hashing.kernels.plan import Plan
from engramctl.hashing.scheme.check import check_boundary, check_orders, check_sizes, check_sums
from engramctl.hashing.walk.batch import (
    Check,
    as_batch,
    is_later,
    output,
    padded_history,
    refuse_id,
)
from engramctl.hashing.walk.heads import PRIMES, HeadRule, LayerHash, derive_layers
from engramctl.hashing.walk.mix import XOR_MUL, Mix
from engramctl.hashing.walk.tensors import rows_of_cpu_tensor
from engramctl.hashing.walk.token_map import Canonical
from engramctl.hashing.walk.window import Boundary

if TYPE_CHECKING:
    import torch

    from engramctl.hashing.kernels.cpu import CpuWalk


NORMALISERS = ("mean", "sqrt", "word_full")


@dataclass(frozen=True)
class Scheme:
    """An n-gram hashing scheme.

    Attributes:
        name: the family, e.g. `deepseek-v41`.
        canonical: token id -> canonical id.
        boundary: fill, stop set, block set.
        orders: ascending n-gram orders, e.g. (2, 3, 4).
        heads_per_order: K.
        slots: smallest number of slots of each order's heads, where the head rule starts from; of
            each head when the rule is explicit.
        layer_ids: layers in the scheme's own order, which decides the primes. Schemes that feed the
            input embedding have layer 0.
        seed: of the multipliers.
        row_dim: E, values a row.
        dtype: the row type of the released model.
        fuse: how rows enter the model, e.g. `deepseek-v41`.
        mix: how windows are mixed.
        rule: how moduli are made.
        normaliser: `mean`, `sqrt` or `word_full`, where the fusion has one (section 2).
    """

    name: str
    canonical: Canonical
    boundary: Boundary
    orders: tuple[int, ...]
    heads_per_order: int
    slots: tuple[int, ...]
    layer_ids: tuple[int, ...]
    seed: int
    row_dim: int
    dtype: str
    fuse: str
    mix: Mix = XOR_MUL
    rule: HeadRule = PRIMES
    normaliser: str | None = None
    hashes: tuple[LayerHash, ...] = field(init=False)

    def __post_init__(self) -> None:
        """Check the recipe and derive every constant."""
        check_orders(self.orders, self.mix)
        check_sizes(
            self.orders,
            self.slots,
            self.layer_ids,
            rule=self.rule,
            heads_per_order=self.heads_per_order,
            row_dim=self.row_dim,
        )
        check_boundary(self.boundary, self.canonical, self.mix)
        if self.normaliser not in (None, *NORMALISERS):
            raise ConfigError(f"unknown normaliser '{self.normaliser}'")
        derived = derive_layers(
            self.layer_ids,
            self.orders,
            self.slots,
            rule=self.rule,
            mix=self.mix,
            heads_per_order=self.heads_per_order,
            num_canonical=self.canonical.num_canonical,
            seed=self.seed,
        )
        object.__setattr__(self, "hashes", derived)
        check_sums(derived, self.mix, self.canonical)

    @property
    def layers(self) -> tuple[int, ...]:
        """Layer ids, in the scheme's order."""
        return self.layer_ids

    @property
    def max_order(self) -> int:
        """N, the largest order."""
        return self.orders[-1]

    @property
    def num_heads(self) -> int:
        """H: heads of one layer, all orders."""
        return self.heads_per_order * len(self.orders)

    @property
    def vocab_size(self) -> int:
        """Token ids lie in [0, vocab_size)."""
        return self.canonical.num_ids

    def layer_hash(self, layer: int) -> LayerHash:
        """Return multipliers and heads of one layer.

        Raises:
            ConfigError: the scheme has no such layer.
        """
        for derived in self.hashes:
            if derived.layer == layer:
                return derived
        raise ConfigError(
            f"scheme {self.name} has no layer {layer}", facts={"layers": list(self.layer_ids)}
        )

    def num_rows(self, layer: int) -> int:
        """Return the rows of one layer's table."""
        return self.layer_hash(layer).num_rows

    @cached_property
    def plans(self) -> dict[int, Plan]:
        """What a kernel needs of each layer."""
        return {h.layer: Plan.of(self.canonical, self.boundary, h, self.mix) for h in self.hashes}

    @cached_property
    def walks(self) -> dict[Any, Any]:
        """The walks made so far, by layer, or by layer and device."""
        return {}

    def row_ids(
        self,
        token_ids: Any,
        layer: int,
        history: Any = None,
        out: Any = None,
        *,
        check: Check = "now",
    ) -> Any:
        """Map every position to one row id a head.

        Causal: position t reads tokens [t - N + 1, t] only. Chunked equals whole when `history`
        holds the tokens before the chunk.

        Args:
            token_ids: integers (..., T), a numpy array, a torch tensor or a list. START pads on
                the left; -1 is a masked token in schemes that know masks.
            layer: a layer of the scheme.
            history: token ids before the first, (..., C), oldest first. At most N-1 count; fewer
                mean that the sequence starts there.
            out: where to write, (..., T, H), of any integer dtype that holds the row ids.
            check: `now`: a token id outside the vocabulary is an error. `later`: every row of a
                position is -1 where one of the N ids that end there is outside, wherever look-back
                stops; a gather refuses -1. On a device nothing waits for it then, and a call like
                an earlier one can be captured in a CUDA graph.

        Returns:
            (..., T, H) of the input's kind: int32 when the table has fewer than 2^31 rows, else
            int64, or `out`.

        Raises:
            ConfigError: no such layer; a call that a running capture cannot hold.
            ValueError: ids outside the vocabulary, not integers, or shapes that do not fit.

        Example:
            >>> from engramctl.hashing import make_scheme
            >>> scheme = make_scheme("engram", vocab_size=64, slots=97, heads_per_order=2)
            >>> scheme.row_ids([[0, 63]], layer=1).shape
            (1, 2, 4)
        """
        if type(token_ids) is not np.ndarray:
            if type(token_ids).__module__.startswith("torch"):
                return self._row_ids_torch(token_ids, layer, history, out, check)
            token_ids = np.asarray(token_ids)
        walk = self.walks.get(layer) or self._cpu_walk(layer)
        later = check != "now" and is_later(check)
        tokens_BT = as_batch(token_ids, later)
        history_BC = padded_history(history, len(tokens_BT), walk.context, later)
        shape = (*token_ids.shape, walk.num_heads)
        negative = "a token id outside the vocabulary" if later else None
        out = output(out, shape, walk.dtype, walk.num_rows, negative)
        out_BTH = out if out.ndim == 3 else out.reshape(*tokens_BT.shape, walk.num_heads)
        bad = walk(tokens_BT, history_BC, out_BTH)
        if bad >= 0:
            ids_BS = np.concatenate([history_BC, tokens_BT], axis=1)
            if not later:
                refuse_id(ids_BS, bad, walk.context, self.vocab_size)
            walk.mark(ids_BS, out_BTH)
        return out

    def _cpu_walk(self, layer: int) -> "CpuWalk":
        from engramctl.hashing.kernels.cpu import CpuWalk

        walk = CpuWalk(self.plans[self.layer_hash(layer).layer])
        self.walks[layer] = walk
        return walk

    def _row_ids_torch(
        self, token_ids: "torch.Tensor", layer: int, history: Any, out: Any, check: Check
    ) -> "torch.Tensor":
        if token_ids.device.type == "cpu":
            return rows_of_cpu_tensor(self.row_ids, token_ids, layer, history, out, check)
        from engramctl.hashing.scheme.on_device import row_ids_on_device

        return row_ids_on_device(self, token_ids, layer, history, out, check)

    def kernel(self, device: Any = "cpu") -> str:
        """Return which kernel `row_ids` uses: `numba`, `triton`, `torch` or `numpy`.

        The CPU takes numba, unless a modulus is beyond its vector loops (2^30; no released scheme
        has one). CUDA takes Triton where it is installed. Everything else takes torch operations.

        Args:
            device: a torch device or its name.

        Example:
            >>> from engramctl.hashing import make_scheme
            >>> make_scheme("longcat-flash-lite").kernel()
            'numba'
        """
        from engramctl.hashing.kernels import choice

        largest = max(head.modulus for layer in self.hashes for head in layer.heads)
        return choice.kernel(str(device).partition(":")[0], largest)

    @property
    def key_bits(self) -> int:
        """The bits of the longest n-gram key."""
        return id_bits(self.canonical.num_canonical) * self.max_order

    def ngram_keys(self, token_ids: Any, history: Any = None) -> NDArray[np.uint64]:
        """Return the windows themselves, packed: the exact key of every n-gram.

        The key of order n is sum over d < n of c_d * 2^(b*d), b = bit length of the largest
        canonical id, as two 64-bit words (low, high).

        Args:
            token_ids: as in `row_ids`; masked tokens read as the fill.
            history: as in `row_ids`.

        Returns:
            uint64 (..., T, num_orders, 2).

        Raises:
            ValueError: as `row_ids`; also for windows of more than 128 bits.
        """
        return window_keys(self.plans[self.layer_ids[0]], self.orders, token_ids, history)

    def to_dict(self) -> dict[str, Any]:
        """Return scheme.json: the recipe and every derived constant."""
        from engramctl.hashing.scheme.document import scheme_to_dict

        return scheme_to_dict(self)

    @classmethod
    def from_dict(cls, document: dict[str, Any]) -> "Scheme":
        """Read scheme.json, derive every constant again and compare.

        Raises:
            ConfigError: unknown schema or key, a missing key, a value of the wrong type, or a
                derived constant that differs (the first one is named).
        """
        from engramctl.hashing.scheme.document import scheme_from_dict

        return scheme_from_dict(document)
