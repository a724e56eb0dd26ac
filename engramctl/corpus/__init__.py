"""A corpus: Parquet files -> batches of token ids."""

from engramctl.corpus.corpus import Corpus, TokenBatch

__all__ = ["Corpus", "TokenBatch"]
