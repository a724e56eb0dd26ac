"""How rows enter the model: at a layer's branches, or at the input.

A new fusion is a name in `engramctl.layers.fusions` with what it is made of, and its arithmetic
here: gated ones in `gated_lookup`, those at the input in `at_input`.
"""
