"""What a model is given in a sample: token ids as it takes them, a cache that has a context."""

import torch

from engramctl.arms.window import Window
from engramctl.model.decoder import Decoder
from engramctl.model.state import State


def model_tokens(model: Decoder, window: Window) -> torch.Tensor:
    """Return a window's token ids as the model takes them, (B, T)."""
    return torch.from_numpy(window.token_ids_BT % model.config.vocab_size).to(model.device)


def filled_state(model: Decoder, window: Window, context: int, seed: int) -> State:
    """Return a state for a window after `context` tokens: of one seed it is always the same."""
    batch, tokens = window.token_ids_BT.shape
    state = model.new_state(batch, context + tokens)
    state.kv.normal_(generator=torch.Generator(model.device).manual_seed(seed))
    state.position = context
    return state
