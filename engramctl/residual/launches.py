"""How many kernels a sublayer's residual launches: counted, not reckoned.

On a device with a launch of 4 to 5 microseconds the straightforward mHC, 143 kernels a sublayer,
takes longer than the model around it, and hides every wait for rows.
"""

# mypy: disable-error-code="no-untyped-call"
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from engramctl.layers.config import ResidualMode
from engramctl.residual.sites import Site

# Operators beside views that launch nothing: memory without values, another shape of the same.
_NO_LAUNCH = ("empty", "new_empty", "_unsafe_view", "lift_fresh", "promote_types", "device")


class Launches(TorchDispatchMode):
    """Counts torch's operators that read or write values; a fused kernel is one of them.

    Example:
        >>> with torch.no_grad(), Launches() as seen:
        ...     _ = torch.ones(2, 3).mT.add(1)
        >>> seen.names
        ['ones', 'add']
    """

    def __init__(self) -> None:
        """Count from none."""
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run the operator; note its name if it launches."""
        name = func.overloadpacket.__name__
        if not (func.is_view or name.startswith(_NO_LAUNCH)):
            self.names.append(name)
        return func(*args, **(kwargs or {}))


def sublayer(site: Site, X_BTRD: Tensor, y_BTD: Tensor, mode: ResidualMode) -> Tensor:
    """Do the residual's work of one sublayer: coefficients, the next input, the next branches.

    Args:
        site: of the sublayer.
        X_BTRD: branches.
        y_BTD: what the sublayer gave.
        mode: in `single_pass` the input is that of the next sublayer, else the sublayer's own.
    """
    given = site.coeff(X_BTRD)
    ahead = mode == "single_pass"
    if not ahead:
        site.collapse(X_BTRD, given.pre_BTR)
    X_next, _ = site.advance(X_BTRD, y_BTD, given, ahead=ahead)
    return X_next


def launches_per_sublayer(site: Site, X_BTRD: Tensor, mode: ResidualMode) -> int:
    """Count the kernels of `sublayer` for branches of this shape, views and allocations aside.

    On a CPU torch's operators and numba's kernels count alike; what a sublayer's norm launches is
    not counted, nor what the first call alone does.
    """
    y = torch.zeros_like(X_BTRD[..., 0, :])
    with torch.no_grad():
        sublayer(site, X_BTRD, y, mode)  # constants are made once
        with Launches() as seen:
            sublayer(site, X_BTRD, y, mode)
    return len(seen.names)
