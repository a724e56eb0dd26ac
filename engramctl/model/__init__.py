"""The measuring load: a decoder with random weights whose logits mean nothing, whose times do.

One idea a file. `config`, `presets` and `cost` need no torch; import the rest by its own name, for
torch takes seconds to load:

    config.py     frozen dataclasses, checked when made      presets.py    tiny, small
    cost.py       FLOPs and bytes of a call, before running it
    decoder.py    Decoder: prefill, decode                   state.py      what a sequence carries
    residual.py   a site: coeff, collapse, expand            readout.py    branches -> one vector
    mhc.py        coefficients of mHC                        hc.py         coefficients of HC
    sinkhorn.py   logits -> doubly stochastic matrix         memory.py     the gated lookup
    attention.py  ffn.py  norm.py  short_conv.py  init.py    the rest of a decoder
"""
