"""Documents on their way: token ids, flat, and where each document ends."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class TokenBatch:
    """Whole documents, one after the other; or a piece of one.

    Attributes:
        ids: token ids, uint32, flat.
        offsets: int64, documents + 1; document d is `ids[offsets[d] : offsets[d + 1]]`.
        goes_on: the first document began in the batch before; no `ids` are fewer than one then.
        is_cut: the document, the only one here, goes on in the next batch.
    """

    ids: NDArray[np.uint32]
    offsets: NDArray[np.int64]
    goes_on: bool = False
    is_cut: bool = False

    @property
    def num_documents(self) -> int:
        """Documents that end here."""
        return len(self.offsets) - 1 - self.is_cut
