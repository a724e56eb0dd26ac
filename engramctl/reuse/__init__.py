"""How often rows come back: the study of a corpus, and its curves.

`curves.measure` is the entry: a corpus and a scheme in, `curves.parquet` and a document out.
"""
