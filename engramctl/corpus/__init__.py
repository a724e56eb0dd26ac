"""Text and ids in: Parquet files -> batches of token ids."""
