"""The measuring load: a decoder whose weights are random, its times real.

`presets`, `settings`, `weights` and `cost` need no torch; `decoder` and `state` are imported by
their own names, for torch takes seconds to load.

    decoder.py    Decoder: prefill, decode                  state.py    what a sequence carries
    presets.py    tiny to moe27                             cost.py     FLOPs and bytes of a call
    settings.py   a preset with sizes of its own            weights.py  how many weights a shape has
"""
