"""How rows enter the branches.

A new fusion is a file here, its name in `Fusion` of `engramctl.layers.config`, and the epsilon of
its norms in `engramctl.bench.measured_model`.
"""
