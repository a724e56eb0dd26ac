"""Fusions at the input embedding: a token's row of words and its n-gram rows make one vector.

Shapes: B sequences, T tokens, H hash heads, E row_dim, D model width. The projection runs in the
model's dtype; sums and divisors in float32, with one cast at the end. Sources: Over-Encoding, arXiv
2501.16975, algorithm 1, and its port with one projection of all parts (`over-encoding-concat`);
LongCat, arXiv 2601.21204; BLT's released code, where rows are summed; SCONE, arXiv 2502.01637,
where the row of the longest match replaces the token's.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engramctl.layers.config import DecoderConfig, MemoryConfig
from engramctl.layers.fusions import Normaliser
from engramctl.layers.init import Draw
from engramctl.layers.norm import wide


def normalise(word: Tensor, rows: Tensor, num_heads: int, normaliser: Normaliser) -> Tensor:
    """Return the word's embedding and the sum of its projected rows as one vector.

    Released models differ: `mean` divides both by 1 + H, `sqrt` by its root, `word_full` leaves
    the word as it is and divides the rows by 1 + H.

    Args:
        word: (..., D), float32.
        rows: (..., D), float32, summed over H heads.
        num_heads: H.
        normaliser: which of the three.
    """
    if normaliser == "word_full":
        return word + rows / (1 + num_heads)
    divisor: float = (1 + num_heads) ** (0.5 if normaliser == "sqrt" else 1.0)
    return (word + rows) / divisor


class InputMemory(nn.Module):
    """The weights of a fusion at the input, and its forward.

    `projection` holds the H projections side by side, (D, H * E), so that their sum is one product;
    `over-encoding-concat` has the word before them, (D, D + H * E). `blt` and `dictionary` have
    none (their rows are as wide as the model) but where widths differ: then (D, E).
    """

    def __init__(self, config: DecoderConfig, memory: MemoryConfig, draw: Draw) -> None:
        """Draw the weights."""
        super().__init__()
        self.memory = memory
        inputs = memory.projected_at_input(config.width)
        self.projection = draw.linear("projection", config.width, inputs) if inputs else None

    def forward(
        self,
        X_BTD: Tensor,
        rows_BTHE: Tensor,
        history: Tensor | None = None,
        mask_BT: Tensor | None = None,
    ) -> Tensor:
        """Return the embeddings that the model starts from.

        Args:
            X_BTD: the tokens' own embeddings, the model's dtype.
            rows_BTHE: gathered and dequantised rows, any float dtype; zeros where a head reads
                none.
            history: not used: nothing is carried from call to call. Here as a gated memory has it.
            mask_BT: bool; where False the token keeps its own embedding (a dictionary without a
                match, a token that its scheme leaves out, padding).

        Returns:
            (B, T, D) in the dtype of X.
        """
        made = self._made(X_BTD, rows_BTHE.to(X_BTD.dtype))
        return made if mask_BT is None else torch.where(mask_BT.unsqueeze(-1), made, X_BTD)

    def _made(self, X_BTD: Tensor, rows_BTHE: Tensor) -> Tensor:
        fusion, dtype = self.memory.fusion, X_BTD.dtype
        if fusion == "dictionary":
            return self._of_width(rows_BTHE.squeeze(-2))
        if fusion == "blt":
            row_BTD = self._of_width(wide(rows_BTHE).sum(-2).to(dtype))
            return X_BTD + row_BTD
        assert self.projection is not None
        if fusion == "over-encoding-concat":
            return F.linear(torch.cat([X_BTD, rows_BTHE.flatten(-2)], -1), self.projection)
        summed_BTD = F.linear(rows_BTHE.flatten(-2), self.projection)
        num_heads, normaliser = self.memory.num_heads, self.memory.normaliser
        return normalise(wide(X_BTD), wide(summed_BTD), num_heads, normaliser).to(dtype)

    def _of_width(self, row_BTE: Tensor) -> Tensor:
        return row_BTE if self.projection is None else F.linear(row_BTE, self.projection)
