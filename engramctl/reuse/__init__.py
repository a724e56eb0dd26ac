"""How often rows come back: cache curves, unique shares, what an n-gram dictionary would serve.

`curves.measure` is the entry: a corpus and a scheme in, `curves.parquet` and a document out.
"""
