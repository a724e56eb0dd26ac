"""Seeded weights: each is a function of (seed, its own name) alone.

So adding a memory, or changing the residual form, leaves every other weight as it was, and two
models that differ in one part can be compared time for time; they can also share the rest.

A large matrix is not drawn value by value, which takes minutes for billions: its rows are windows
into one line of drawn values, no two at the same place. Nothing of its time depends on that.
"""

import hashlib
import math
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

LINE = 1 << 22  # values that are drawn one by one at most
_STRIDE = 0x9E3779B1  # odd, so that the first LINE windows begin at as many places

Drawn = dict[tuple[object, ...], nn.Parameter]


@dataclass(frozen=True)
class Draw:
    """Makes the weights of one module; `at` steps into a part of it.

    Attributes:
        seed: of every weight.
        dtype: of the weights.
        device: where they live.
        prefix: of their names.
        drawn: weights that were drawn before, given again to who asks for the same ones.
    """

    seed: int
    dtype: torch.dtype = torch.float32
    device: torch.device | str = "cpu"
    prefix: str = ""
    drawn: Drawn = field(default_factory=dict)

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
        key = (self.seed, self.prefix + name, shape, std, self.dtype, str(self.device))
        if key not in self.drawn:
            self.drawn[key] = self._normal(name, shape, std)
        return self.drawn[key]

    def _normal(self, name: str, shape: tuple[int, ...], std: float) -> nn.Parameter:
        digest = hashlib.sha256(f"{self.seed}:{self.prefix}{name}".encode()).digest()
        generator = torch.Generator().manual_seed(int.from_bytes(digest[:8], "little"))
        num_rows, num_columns = math.prod(shape[:-1]), shape[-1]
        if num_rows * num_columns <= LINE:
            return self.given(torch.randn(shape, generator=generator).mul_(std))
        line = torch.randn(LINE + num_columns, generator=generator).mul_(std)
        windows = line.to(self.device, self.dtype).unfold(0, num_columns, 1)
        start = torch.arange(num_rows, device=self.device).mul_(_STRIDE).remainder_(LINE)
        return self.given(windows.index_select(0, start).view(shape))

    def linear(self, name: str, num_outputs: int, num_inputs: int) -> nn.Parameter:
        """Draw a projection (outputs, inputs) that keeps the scale of its input."""
        return self.normal(name, num_outputs, num_inputs, std=num_inputs**-0.5)

    def full(self, value: float, *shape: int) -> nn.Parameter:
        """Return a constant weight."""
        return self.given(torch.full(shape, value))

    def given(self, value: Tensor) -> nn.Parameter:
        """Return a weight with these values, in this source's dtype and on its device."""
        return nn.Parameter(value.to(self.device, self.dtype), requires_grad=False)
