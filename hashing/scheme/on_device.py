"""Row ids of tensors that live on a device: nothing is copied to the host and back.

With `check="later"` nothing waits for the device either, and the call can be captured in a CUDA
graph. What a capture cannot hold is refused before it starts, for CUDA's own error names neither
the call nor the reason, and spoils the capture.
"""

from typing import TYPE_CHECKING, Any

from engramctl.errors import ConfigError
from engramctl.hashing.walk.batch import Check, is_later, refuse_id
from engramctl.hashing.walk.tensors import as_tensor_batch, lies_on, tensor_history, tensor_output

if TYPE_CHECKING:
    import torch

    from engramctl.hashing.scheme.scheme import Scheme


def row_ids_on_device(
    scheme: "Scheme",
    token_ids: "torch.Tensor",
    layer: int,
    history: Any,
    out: "torch.Tensor | None",
    check: Check,
) -> "torch.Tensor":
    """As `Scheme.row_ids`, for a tensor that is not on the CPU.

    Raises:
        ConfigError: also a call that cannot be captured while a CUDA graph is.
    """
    import torch

    from engramctl.hashing.kernels.device import device_walk

    later, device = is_later(check), token_ids.device
    plan = scheme.plans[scheme.layer_hash(layer).layer]
    captured = _capturing(token_ids)
    walk = scheme.walks.get((layer, device))
    if captured:
        _check_capture(later, history, device)
    if captured and walk is None:
        raise _cold(device)
    if walk is None:
        walk = scheme.walks[layer, device] = device_walk(plan, device)
    tokens_BT = as_tensor_batch(token_ids)
    history_BC = tensor_history(history, len(tokens_BT), scheme.max_order - 1, device)
    shape = (*token_ids.shape, scheme.num_heads)
    negative = "a token id outside the vocabulary" if later else None
    out = tensor_output(out, shape, plan.dtype, plan.num_rows, tokens_BT, negative)
    out_BTH = out.view(*tokens_BT.shape, scheme.num_heads)
    if captured and not walk.is_ready(tokens_BT, history_BC, out_BTH):
        raise _cold(device)
    bad = walk(tokens_BT, history_BC, out_BTH, later)
    if bad >= 0:
        ids_BS = torch.cat([history_BC, tokens_BT.long()], dim=1).cpu().numpy()
        refuse_id(ids_BS, bad, scheme.max_order - 1, scheme.vocab_size)
    return out


def _capturing(token_ids: "torch.Tensor") -> bool:
    """Tell whether a CUDA graph is captured on the current stream of a tensor's device."""
    import torch

    if token_ids.device.type != "cuda":
        return False
    with torch.cuda.device_of(token_ids):  # type: ignore[no-untyped-call]
        return torch.cuda.is_current_stream_capturing()


def _check_capture(later: bool, history: Any, device: "torch.device") -> None:
    if not later:
        raise ConfigError(
            "row ids that are checked now cannot be captured in a CUDA graph",
            facts={"reason": "the check waits for the device"},
            hint='pass check="later": rows of -1 tell of bad token ids',
        )
    if history is not None and not lies_on(history, device):
        raise ConfigError(
            "row ids after a history on the host cannot be captured in a CUDA graph",
            facts={"expected": f"history on {device}", "found": f"{type(history).__name__}"},
            hint="keep the history on the device: engramctl.hashing.DeviceHistory",
        )


def _cold(device: "torch.device") -> ConfigError:
    return ConfigError(
        "the first call of a kind cannot be captured in a CUDA graph",
        facts={"reason": f"it copies constants to {device} and compiles"},
        hint="call row_ids once before the capture: the same layer, shapes, dtypes and check",
    )
