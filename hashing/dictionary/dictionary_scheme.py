"""The dictionary: an exact list of n-grams, of which the longest that fits wins.

Not a hash: no match gives -1 and no two n-grams share a row. It is the classic static n-gram table
and the look-up of SCONE (arXiv 2502.01637), where the row replaces the token's embedding.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from engramctl.errors import ConfigError
from engramctl.hashing.dictionary.ngrams import NgramList
from engramctl.hashing.kernels.keys import window_keys
from engramctl.hashing.kernels.plan import IdRules
from engramctl.hashing.scheme.check import (
    MAX_ORDER,
    check_ascending,
    check_boundary,
    check_layers,
    check_row_dim,
)
from engramctl.hashing.walk.batch import (
    Check,
    as_batch,
    is_later,
    output,
    padded_history,
    refuse_id,
)
from engramctl.hashing.walk.tensors import rows_of_cpu_tensor, tensor_output
from engramctl.hashing.walk.token_map import Canonical
from engramctl.hashing.walk.window import Boundary

DEFAULT_ROW_DIM = 2048  # SCONE's main model (arXiv 2502.01637)
NO_MATCH = -1
MAX_VOCABULARY = 2**31  # two ids share a 64-bit key, and a bit is left over


@dataclass(frozen=True, eq=False)
class DictionaryScheme:
    """Exact longest match over a list of n-grams; every layer has the same rows.

    Attributes:
        ngrams: canonical ids of each n-gram; its place in the list is its row id.
        orders: ascending lengths n-grams may have.
        canonical: token id -> canonical id.
        boundary: where look-back ends; what reads as the fill matches nothing.
        layer_ids: layers; 0 is the input embedding.
        row_dim: E, values a row.
        dtype: the row type.
        fuse: how rows enter the model; `dictionary`: the row replaces the token's embedding.

    Raises:
        ConfigError: an n-gram twice, of another order, with ids outside the vocabulary, or one that
            no window can give; orders, layers or a boundary that no dictionary has.
    """

    name: ClassVar[str] = "dictionary"
    num_heads: ClassVar[int] = 1

    ngrams: NgramList
    orders: tuple[int, ...]
    canonical: Canonical
    boundary: Boundary = Boundary(0)  # noqa: RUF009  it is immutable
    layer_ids: tuple[int, ...] = (0,)
    row_dim: int = DEFAULT_ROW_DIM
    dtype: str = "bf16"
    fuse: str = "dictionary"
    walk: Any = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Check the list and build the table that finds its n-grams."""
        check_ascending(self.orders)
        check_layers(self.layer_ids)
        check_boundary(self.boundary, self.canonical)
        check_row_dim(self.row_dim)
        if self.orders[-1] > MAX_ORDER:
            raise ConfigError(
                f"order {self.orders[-1]} is out of range",
                facts={"expected": f"orders up to {MAX_ORDER}"},
            )
        if self.boundary.negative not in ("refuse", "dead"):
            raise ConfigError(
                f"a dictionary cannot read negative ids as '{self.boundary.negative}'",
                facts={"known": "refuse, dead"},
            )
        if self.canonical.num_canonical > MAX_VOCABULARY:
            raise ConfigError(
                f"a vocabulary of {self.canonical.num_canonical:,} ids is too large",
                facts={"at most": f"{MAX_VOCABULARY:,} ids"},
            )
        self._check_ngrams()
        from engramctl.hashing.dictionary.longest_match import LongestMatch
        from engramctl.hashing.dictionary.ngram_table import NgramTable

        table = NgramTable(self.ngrams.lengths, self.ngrams.ids)
        if table.duplicate >= 0:
            raise self._wrong(table.duplicate, "stands in the list twice")
        object.__setattr__(self, "walk", LongestMatch(self._rules, table))

    @classmethod
    def of(
        cls,
        ngrams: Iterable[Sequence[int]],
        *,
        vocab_size: int | None = None,
        token_map: NDArray[np.integer[Any]] | None = None,
        orders: Sequence[int] | None = None,
        boundary: Boundary | None = None,
        layers: Sequence[int] = (0,),
    ) -> "DictionaryScheme":
        """Make a dictionary of plain sequences of canonical ids.

        Args:
            ngrams: oldest id first; the place in the list is the row id.
            vocab_size: token ids lie in [0, vocab_size) when there is no map.
            token_map: int (num_ids,), canonical id of each token.
            orders: lengths, ascending; default: those the n-grams have.
            boundary: stop ids; default: look-back ends at the sequence's start alone.
            layers: layer ids.

        Raises:
            ConfigError: as the class; also neither or both of vocab_size and token_map.

        Example:
            >>> scheme = DictionaryScheme.of([(5, 9), (7, 5, 9)], vocab_size=10)
            >>> scheme.row_ids([5, 9, 7, 5, 9], layer=0)[:, 0].tolist()
            [-1, 0, -1, -1, 1]
        """
        if (vocab_size is None) == (token_map is None):
            raise ConfigError("give a vocabulary size or a token map, one of them")
        made = NgramList.of(ngrams)
        if orders is None:
            orders = sorted(set(made.lengths.tolist())) or [2]
        if token_map is not None:
            canonical = Canonical.mapped(token_map)
        else:
            canonical = Canonical.identity(vocab_size or 0)
        return cls(made, tuple(orders), canonical, boundary or Boundary(0), tuple(layers))

    @property
    def layers(self) -> tuple[int, ...]:
        """Layer ids."""
        return self.layer_ids

    @property
    def max_order(self) -> int:
        """N, the largest order."""
        return self.orders[-1]

    @property
    def vocab_size(self) -> int:
        """Token ids lie in [0, vocab_size)."""
        return self.canonical.num_ids

    @cached_property
    def _rules(self) -> IdRules:
        return IdRules(self.canonical, self.boundary)

    def check_layer(self, layer: int) -> None:
        """Refuse a layer the scheme does not have.

        Raises:
            ConfigError: it has no such layer.
        """
        if layer not in self.layer_ids:
            raise ConfigError(
                f"scheme {self.name} has no layer {layer}", facts={"layers": list(self.layer_ids)}
            )

    def num_rows(self, layer: int) -> int:
        """Return the rows of one layer's table: the n-grams of the list."""
        self.check_layer(layer)
        return len(self.ngrams)

    def row_ids(
        self,
        token_ids: Any,
        layer: int,
        history: Any = None,
        out: Any = None,
        *,
        check: Check = "now",
    ) -> Any:
        """Map every position to the row of the longest n-gram that ends there, or to -1.

        Causal: position t reads tokens [t - N + 1, t] only. Chunked equals whole when `history`
        holds the tokens before the chunk.

        Args:
            token_ids: integers (..., T), a numpy array, a torch tensor or a list. START pads on
                the left; -1 is a masked token where the boundary says so.
            layer: a layer of the scheme; all have the same rows.
            history: token ids before the first, (..., C), oldest first, as in `Scheme.row_ids`.
            out: where to write, (..., T, 1), of any signed dtype that holds the row ids.
            check: `now` alone, as in `Scheme.row_ids`: rows of -1, by which `later` tells of bad
                token ids, mean no match here.

        Returns:
            int32 (..., T, 1) of the input's kind, or `out`. Tensors of other devices are looked up
            on the CPU, which waits for them.

        Raises:
            ConfigError: no such layer.
            ValueError: ids outside the vocabulary, not integers, shapes that do not fit, or
                another `check`.
        """
        if is_later(check):
            raise ValueError(
                "a dictionary checks token ids now: check='later' gives them rows of -1, which "
                "means no match here"
            )
        rows_dtype = np.dtype(np.int32)
        if type(token_ids).__module__.startswith("torch"):
            if token_ids.device.type == "cpu":
                return rows_of_cpu_tensor(self.row_ids, token_ids, layer, history, out, check)
            past = history.cpu() if hasattr(history, "cpu") else history
            rows = self.row_ids(token_ids.cpu(), layer, past)
            there = tensor_output(
                out, tuple(rows.shape), rows_dtype, len(self.ngrams), token_ids, "no match"
            )
            return there.copy_(rows)
        self.check_layer(layer)
        tokens = np.asarray(token_ids)
        tokens_BT = as_batch(tokens)
        history_BC = padded_history(history, len(tokens_BT), self.max_order - 1)
        out = output(out, (*tokens.shape, 1), rows_dtype, len(self.ngrams), "no match")
        bad = self.walk(tokens_BT, history_BC, out.reshape(tokens_BT.shape))
        if bad >= 0:
            ids_BS = np.concatenate([history_BC, tokens_BT], axis=1)
            refuse_id(ids_BS, bad, self.max_order - 1, self.vocab_size)
        return out

    def kernel(self, device: Any = "cpu") -> str:
        """Return which kernel `row_ids` uses: `numba`, whatever the device; see `Scheme.kernel`."""
        return "numba"

    def ngram_keys(self, token_ids: Any, history: Any = None) -> NDArray[np.uint64]:
        """Return the windows themselves, packed; as `Scheme.ngram_keys`.

        Returns:
            uint64 (..., T, num_orders, 2).
        """
        return window_keys(self._rules, self.orders, token_ids, history)

    def to_dict(self) -> dict[str, Any]:
        """Return scheme.json: the list, and what follows from it."""
        from engramctl.hashing.dictionary.document import dictionary_to_dict

        return dictionary_to_dict(self)

    @classmethod
    def from_dict(cls, document: dict[str, Any]) -> "DictionaryScheme":
        """Read scheme.json, derive everything again and compare.

        Raises:
            ConfigError: unknown schema or key, a missing key, a value of the wrong type, or a
                derived value that differs (the first one is named).
        """
        from engramctl.hashing.dictionary.document import dictionary_from_dict

        return dictionary_from_dict(document)

    def _check_ngrams(self) -> None:
        """Refuse the first n-gram that no window of the vocabulary can give."""
        lengths, ids = self.ngrams.lengths, self.ngrams.ids
        limit = self.canonical.num_canonical
        newest = np.zeros(len(ids), bool)
        newest[np.cumsum(lengths, dtype=np.int64)[lengths > 0] - 1] = True
        unread = np.isin(ids, self.boundary.stop) & ~newest
        unread |= np.isin(ids, self.boundary.block) & newest
        wrong_length = ~np.isin(lengths, self.orders)
        for bad, text in (
            (np.flatnonzero(wrong_length), f"has not one of the orders {list(self.orders)}"),
            (self._owners((ids < 0) | (ids >= limit)), f"has an id outside 0..{limit - 1:,}"),
            (self._owners(unread), "holds a stop token where look-back ends"),
        ):
            if len(bad):
                raise self._wrong(int(bad[0]), text)

    def _owners(self, marked: NDArray[np.bool_]) -> NDArray[np.intp]:
        """Return the n-grams whose ids are marked."""
        return np.searchsorted(self.ngrams.starts, np.flatnonzero(marked), side="right") - 1

    def _wrong(self, rank: int, text: str) -> ConfigError:
        return ConfigError(
            f"n-gram {rank:,} {text}",
            facts={"n-gram": " ".join(map(str, self.ngrams[rank]))},
            hint="n-grams are canonical ids, oldest first; check the list, vocabulary and orders",
        )
