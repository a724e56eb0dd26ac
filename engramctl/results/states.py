"""In which state the ssd tier's memory is when a sample begins; needs no torch.

`cold`: it has none of the sample's rows; `warm`: all of them; `traffic`: those that the tokens
before left there, for nothing is dropped or brought.
"""

TRAFFIC = "traffic"
STATES = ("warm", "cold", TRAFFIC)
