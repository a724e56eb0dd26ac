"""Seeded weights: each is a function of (seed, its own name) alone.

So adding a memory, or changing the residual form, leaves every other weight as it was, and two
models that differ in one part can be compared time for time.
"""

import hashlib
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Draw:
    """Makes the weights of one module; `at` steps into a part of it."""

    seed: int
    dtype: torch.dtype = torch.float32
    device: torch.device | str = "cpu"
    prefix: str = ""

    def at(self, part: str) -> "Draw":
        """Return the same source for a part; names nest as `layers.0.attention`."""
        return replace(self, prefix=f"{self.prefix}{part}.")

    def exact(self) -> "Draw":
        """Return the same source for weights that stay float32 whatever the model's dtype.

        Residual coefficients must stay out of every cast. A float64 model keeps float64.
        """
        return replace(self, dtype=torch.promote_types(self.dtype, torch.float32))

    def normal(self, name: str, *shape: int, std: float) -> nn.Parameter:
        """Draw N(0, std^2) in float32 on the CPU, then cast and move: same values everywhere."""
        key = hashlib.sha256(f"{self.seed}:{self.prefix}{name}".encode()).digest()
        generator = torch.Generator().manual_seed(int.from_bytes(key[:8], "little"))
        return self.given(torch.randn(shape, generator=generator).mul_(std))

    def linear(self, name: str, num_outputs: int, num_inputs: int) -> nn.Parameter:
        """Draw a projection (outputs, inputs) that keeps the scale of its input."""
        return self.normal(name, num_outputs, num_inputs, std=num_inputs**-0.5)

    def full(self, value: float, *shape: int) -> nn.Parameter:
        """Return a constant weight."""
        return self.given(torch.full(shape, value))

    def given(self, value: Tensor) -> nn.Parameter:
        """Return a weight with these values, in this source's dtype and on its device."""
        return nn.Parameter(value.to(self.device, self.dtype), requires_grad=False)
