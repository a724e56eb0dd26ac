"""The measuring load: a decoder whose weights are random, its times real.

`decoder` and `state` are imported by their own names, for torch takes seconds to load; the rest
needs none.

    decoder.py    Decoder: prefill, decode                  state.py    what a sequence carries
    presets.py    tiny to moe27                             cost.py     FLOPs and bytes of a call
    settings.py   a preset with sizes of its own            weights.py  how many weights a shape has
    fit.py        whether it fits in memory
"""
