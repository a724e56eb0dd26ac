"""How often a model reads each row of its tables, counted and described.

What the model reads at a position hangs on the ids of its window alone, so each *distinct* n-gram
is hashed once and weighs its count; windows that begin before their document does are counted
beside them (`engramctl.access.document_starts`). Exact, in bounded memory.
"""
