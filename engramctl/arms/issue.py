"""When a step asks for its rows; needs no torch.

`before`: while the step before it ends, for callers who know the ids by then (a prompt's chunks, a
draft that is verified); `start`: when the step begins; `layer`: in the layer that needs them.
"""

ISSUES = ("before", "start", "layer")
