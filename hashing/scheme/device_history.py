"""Decode state on a device: `History` at fixed addresses, changed in place, never waited for.

All of it is a few torch operations on tensors of the device, so a step of a captured CUDA graph may
hash with `ids` and append to them. Lengths are not kept, for a graph that is replayed runs no
Python: what `History` refuses by them, here gives rows of -1 (`Scheme.row_ids(check="later")`).
"""

from typing import TYPE_CHECKING, Any

from engramctl.hashing.walk.tensors import as_tensor_batch, lies_on
from engramctl.hashing.walk.window import OUTSIDE, START

if TYPE_CHECKING:
    import torch


class DeviceHistory:
    """The last ids of B sequences, START where there are none yet, on one device.

    Memory: B * (context + max_roll_back) int64, a few times as much while a method runs.

    Example:
        >>> import torch
        >>> from engramctl.hashing import make_scheme
        >>> scheme = make_scheme("engram", vocab_size=64, slots=97, heads_per_order=2)
        >>> history = DeviceHistory(scheme.max_order - 1, device="cpu")
        >>> history.append(torch.tensor([[5, 9]]))
        >>> step = scheme.row_ids(torch.tensor([[7]]), 1, history.ids, check="later")
        >>> bool((step == scheme.row_ids(torch.tensor([[5, 9, 7]]), 1)[:, 2:]).all())
        True
    """

    def __init__(
        self, context: int, batch: int = 1, *, device: Any, max_roll_back: int = 64
    ) -> None:
        """Start `batch` empty sequences.

        Args:
            context: N - 1, the ids a scheme looks back.
            batch: B.
            device: of the token ids, a torch device or its name.
            max_roll_back: tokens that can be taken back in all; appending restores what taking
                back used up.

        Raises:
            ValueError: a negative number.
        """
        import torch

        if context < 0 or batch < 0 or max_roll_back < 0:
            raise ValueError("context, batch and max_roll_back must not be negative")
        self.context = context
        self.max_roll_back = max_roll_back
        shape = (batch, context + max_roll_back)
        with torch.inference_mode(False):  # written to in any mode
            self._ids_BK = torch.full(shape, START, dtype=torch.int64, device=device)

    @property
    def ids(self) -> "torch.Tensor":
        """The last `context` ids, oldest first, int64 (B, context): a view that follows."""
        return self._ids_BK[:, self.max_roll_back :]

    def append(self, token_ids: "torch.Tensor") -> None:
        """Remember the next tokens of every sequence.

        Args:
            token_ids: integers (B, T) on the device, or (T,) when there is one sequence.

        Raises:
            ValueError: not integers, another number of sequences, or another device.
        """
        import torch

        self._check_device(token_ids, "token ids")
        tokens_BT = as_tensor_batch(token_ids)
        if len(tokens_BT) != len(self._ids_BK):
            raise ValueError(
                f"history holds {len(self._ids_BK)} sequences, token ids have {len(tokens_BT)}"
            )
        longer = torch.cat([self._ids_BK, tokens_BT.long()], dim=1)
        self._ids_BK.copy_(longer[:, tokens_BT.shape[1] :])

    def roll_back(self, num_tokens: "int | torch.Tensor") -> None:
        """Forget the last tokens: of every sequence alike, or one number a sequence.

        A sequence that has fewer is empty then. Past `max_roll_back` of a long one, ids are lost:
        rows are -1 until those are out of reach.

        Args:
            num_tokens: a number, or integers (B,) on the device, of which negative ones count as 0.

        Raises:
            ValueError: a negative number, or a tensor of another shape or device.
        """
        import torch

        if isinstance(num_tokens, int):
            if num_tokens < 0:
                raise ValueError(f"cannot take back {num_tokens} tokens")
            wanted_B1: Any = num_tokens
        else:
            self._check_device(num_tokens, "numbers of tokens")
            if num_tokens.shape != (len(self._ids_BK),):
                raise ValueError(
                    f"history holds {len(self._ids_BK)} sequences, numbers of tokens have the "
                    f"shape {tuple(num_tokens.shape)}"
                )
            wanted_B1 = num_tokens.long().clamp(min=0)[:, None]
        size = self._ids_BK.shape[1]
        if not size:
            return
        at_K = torch.arange(size, device=self._ids_BK.device)
        from_BK = (at_K - wanted_B1).expand(self._ids_BK.shape)
        moved_BK = self._ids_BK.gather(1, from_BK.clamp(min=0))
        oldest_B1 = self._ids_BK[:, :1]
        before_B1 = torch.full_like(oldest_B1, OUTSIDE).masked_fill(oldest_B1 == START, START)
        self._ids_BK.copy_(torch.where(from_BK < 0, before_B1, moved_BK))

    def reorder(self, sequences: "torch.Tensor") -> None:
        """Become these sequences, in this order, each as often as named: a step of beam search.

        Args:
            sequences: int64 (B,) on the device, in [0, B): torch checks that there.

        Raises:
            ValueError: another shape or device.
        """
        self._check_device(sequences, "sequences")
        if sequences.shape != (len(self._ids_BK),):
            raise ValueError(
                f"history holds {len(self._ids_BK)} sequences, not {tuple(sequences.shape)}"
            )
        self._ids_BK.copy_(self._ids_BK.index_select(0, sequences))

    def _check_device(self, given: Any, name: str) -> None:
        if not lies_on(given, self._ids_BK.device):
            found = getattr(given, "device", type(given).__name__)
            raise ValueError(f"{name} must be a tensor on {self._ids_BK.device}, not {found}")
