"""Fusions against the fuse blocks of the schemes' golden files.

Row ids are taken from the files; that they are the right ones is tested with the hashing.
"""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from engramctl.fusion.at_input import InputMemory
from engramctl.fusion.used_rows import used_rows
from engramctl.hashing import make_scheme
from engramctl.layers.config import CONV_KERNEL, MemoryConfig
from engramctl.layers.fusions import INPUT, KINDS, Fusion, Normaliser
from engramctl.layers.init import Draw
from engramctl.model.presets import preset
from tests.conftest import golden
from tests.fusion.golden_weights import Weights, taken
from tests.model.vectors import DTYPES, memory_module

pytestmark = [pytest.mark.golden, pytest.mark.parametrize("dtype", DTYPES)]

# The files hold nine or ten decimals, and one of a module whose norms are float32.
TOLERANCE = {torch.float64: 1e-9, torch.float32: 2e-7}


def block(file: str, name: str) -> Any:
    return golden(f"scheme_{file}")[name]


def assert_near(found: Tensor, expected: Any, at_least: float = 0.0) -> None:
    atol = max(TOLERANCE[found.dtype], at_least)
    wanted = torch.tensor(expected, dtype=torch.float64)
    torch.testing.assert_close(found.double(), wanted, rtol=0, atol=atol)


def input_memory(
    fusion: Fusion,
    projection: Tensor,
    heads: tuple[int, int],
    dtype: torch.dtype,
    normaliser: Normaliser = "mean",
) -> InputMemory:
    """Return a fusion at the input with this projection; `heads` is (number, row_dim)."""
    memory = MemoryConfig(((INPUT, 0),), *heads, 3, fusion, normaliser=normaliser)
    width = len(projection)
    config = preset("tiny")
    module = InputMemory(
        config.__class__(**{**vars(config), "width": width}), memory, Draw(0, dtype)
    )
    assert module.projection is not None
    module.projection.copy_(projection)
    return module


def side_by_side(weights: Weights, name: str, width: int, heads: tuple[int, int]) -> Tensor:
    parts = [weights(name, width, heads[1], number=number) for number in range(heads[0])]
    return torch.cat(parts, 1)


def test_over_encoding_of_the_paper(dtype: torch.dtype) -> None:
    given = block("over_encoding", "fuse_paper")
    params, weights = given["params"], Weights(given["weights"])
    width, heads = params["D"], (len(given["local_ids"][0]), params["sub_dim"])
    tables = [weights("table_i", params["m"] + 2 * i, heads[1], number=i) for i in range(heads[0])]
    words = weights("wte", params["V"], width)[given["tokens"]][None]
    projection = side_by_side(weights, "proj_i", width, heads)
    module = input_memory("over-encoding", projection, heads, dtype)
    found = module(words.to(dtype), taken(tables, given["local_ids"]))
    assert_near(found[0], given["output"])


def test_over_encoding_with_one_projection_of_all_parts(dtype: torch.dtype) -> None:
    given = block("over_encoding", "fuse_concat")
    params, weights = given["params"], Weights(given["weights"])
    width, heads = params["D"], (len(params["oe_grams"]), params["oe_dim"])
    table = weights("mega", sum(params["oe_vocab_sizes"]), heads[1])
    rows = table[torch.tensor(given["local_ids"]) + torch.tensor(given["offsets"])][None]
    words = weights("wte", params["V"], width)[given["tokens"]][None]
    projection = weights("up_proj", width, width + heads[0] * heads[1])
    module = input_memory("over-encoding-concat", projection, heads, dtype)
    assert_near(module(words.to(dtype), rows)[0], given["output"])


@pytest.mark.parametrize(
    ("normaliser", "output"),
    [("mean", "output_mean"), ("sqrt", "output_sqrt"), ("word_full", "output_word_full_scale")],
)
def test_longcat_with_each_normaliser(
    normaliser: Normaliser, output: str, dtype: torch.dtype
) -> None:
    given = block("longcat", "fuse_lite")
    module, words, rows = longcat(given, given["params"]["V"], normaliser, dtype)
    assert_near(module(words, rows)[0], given[output])


def longcat(
    given: Any, num_words: int, normaliser: Normaliser, dtype: torch.dtype
) -> tuple[InputMemory, Tensor, Tensor]:
    params, weights = given["params"], Weights(given["weights"])
    width, heads = params["D"], (len(given["local_ids"][0]), params["sub_dim"])
    smallest = params["ratio"] * params["V"] + 1
    tables = [weights("embedders_i", smallest + 2 * i, heads[1], number=i) for i in range(heads[0])]
    words = weights("wte", num_words, width)[given["tokens"]][None]
    projection = side_by_side(weights, "post_projs_i", width, heads)
    module = input_memory("longcat", projection, heads, dtype, normaliser)
    return module, words.to(dtype), taken(tables, given["local_ids"])


def test_longcat_next_leaves_specials_as_they_are_and_slot_0_is_nothing(
    dtype: torch.dtype,
) -> None:
    given = block("longcat", "fuse_next")
    params = given["params"]
    module, words, rows = longcat(given, params["word_rows"], "mean", dtype)
    ignored = params["ignored_ids"]
    scheme = make_scheme(
        "longcat-next",
        vocab_size=params["V"],
        slots=params["ratio"] * params["V"] + 1,
        orders=range(2, params["n"] + 1),
        heads_per_order=params["k"],
        eos_id=params["eos"],
        specials=[(ignored[0], ignored[-1] + 1)],
    )
    token_ids = np.array([given["tokens"]])
    row_ids = scheme.row_ids(token_ids, 0)
    offsets = [head.offset for head in scheme.layer_hash(0).heads]
    assert (row_ids - offsets)[0].tolist() == given["local_ids"]
    used = used_rows(scheme, 0, token_ids, row_ids)
    assert used.tokens_BT is not None
    assert used.heads_BTH is not None
    rows = rows * torch.from_numpy(used.heads_BTH)[..., None]
    found = module(words, rows, mask_BT=torch.from_numpy(used.tokens_BT))
    assert_near(found[0], given["output"])


def test_the_ple_layer(dtype: torch.dtype) -> None:
    given = block("qwen4exp_ple", "fuse")
    params, weights = given["params"], Weights(given["weights"])
    branches, width, num_inputs = params["hc_count"], params["hidden"], params["ple_embed_dim"]
    row_ids = torch.tensor(given["rows"])
    row_dim = num_inputs // row_ids.shape[-1]
    assert params["conv_kernel"] == CONV_KERNEL
    module = memory_module(
        "qwen-ple",
        width=width,
        branches=branches,
        heads=(row_ids.shape[-1], row_dim),
        max_order=params["conv_dilation"],
        dtype=dtype,
        norm_eps=params["rms_eps"],
        conv_norm_eps=params["rms_eps"],
    )
    assert KINDS["qwen-ple"].norm_eps == KINDS["qwen-ple"].conv_norm_eps == params["rms_eps"]
    key = weights("key_proj", branches * width, num_inputs)
    module.wkv.copy_(torch.cat([key, weights("value_proj", width, num_inputs)]))
    module.k_weight.copy_(weights("norm_key", branches, width))
    module.q_weight.copy_(weights("norm_query", branches, width))
    module.conv_norm.copy_(weights("norm_conv", branches, width))
    module.conv_kernel.copy_(weights("conv1d", branches, width, CONV_KERNEL))
    rows = weights("table", given["padded_rows"], row_dim)[row_ids].view(
        1, -1, row_ids.shape[-1], row_dim
    )
    hidden = weights("hidden_in", 1, len(given["tokens"]), branches, width).to(dtype)
    found = (module(hidden, rows) - hidden).flatten(2)
    assert_near(found, torch.tensor(given["output"]).view(found.shape).tolist(), at_least=1e-6)
