"""Text and ids in: Parquet files -> batches of token ids."""

from engramctl.corpus.corpus import Corpus, Progress, TokenBatch

__all__ = ["Corpus", "Progress", "TokenBatch"]
