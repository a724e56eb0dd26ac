"""How often rows come back: hit-rate curves, a corpus studied for them.

`curves.measure` is the entry: a corpus and a scheme in, `curves.parquet` and a document out.
"""
