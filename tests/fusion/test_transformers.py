"""`qwen-ple` against the module it comes from, where transformers is installed."""

from typing import Any

import pytest
import torch

from engramctl.fusion.gated_lookup import Memory
from engramctl.hashing import Scheme, make_scheme
from engramctl.layers.config import CONV_KERNEL
from tests.model.vectors import memory_module

T, R, D, H, E, ORDER = 14, 3, 8, 4, 5, 3
EOS = 7


@pytest.fixture(scope="module")
def theirs() -> Any:
    """Return transformers' layer, of float32, its weights drawn anew: fresh ones are near zero."""
    pytest.importorskip("transformers", reason="transformers is not installed")
    modeling = pytest.importorskip(
        "transformers.models.qwen4_exp.modeling_qwen4_exp",
        reason="this transformers has no qwen4_exp",
    )
    configuration = pytest.importorskip("transformers.models.qwen4_exp.configuration_qwen4_exp")
    config = configuration.Qwen4ExpTextConfig(
        vocab_size=41, hidden_size=D, hc_count=R, ngram_size=ORDER, heads_per_ngram=H // 2,
        ngram_vocab_size_base=30, make_ngram_vocab_size_divisible_by=4, ple_embed_dim=H * E,
        ple_conv_kernel_size=CONV_KERNEL, eos_token_id=EOS,
    )  # fmt: skip
    layer = modeling.Qwen4ExpTextPLELayer(config, layer_idx=1, ple_layer_index=0)
    generator = torch.Generator().manual_seed(0)
    for weight in layer.parameters():
        weight.data = torch.randn(weight.shape, generator=generator) * 0.3
    return layer


@pytest.fixture(scope="module")
def scheme() -> Scheme:
    return make_scheme(
        "qwen-ple", vocab_size=41, slots=30, heads_per_order=H // 2, row_dim=E, eos_id=EOS
    )


def ours(theirs: Any) -> Memory:
    module = memory_module(
        "qwen-ple", width=D, branches=R, heads=(H, E), max_order=ORDER, dtype=torch.float32,
        norm_eps=theirs.norm_key.eps, conv_norm_eps=theirs.norm_conv.eps,
    )  # fmt: skip
    module.wkv.copy_(torch.cat([theirs.key_proj.weight, theirs.value_proj.weight]))
    module.k_weight.copy_(theirs.norm_key.weight.view(R, D))
    module.q_weight.copy_(theirs.norm_query.weight.view(R, D))
    module.conv_norm.copy_(theirs.norm_conv.weight.view(R, D))
    module.conv_kernel.copy_(theirs.conv1d.weight.view(R, D, CONV_KERNEL))
    return module


@pytest.mark.parametrize("masked", [False, True])
def test_the_layer_of_transformers(theirs: Any, scheme: Scheme, masked: bool) -> None:
    generator = torch.Generator().manual_seed(1)
    token_ids = torch.randint(0, 41, (2, T), generator=generator)
    token_ids[0, 5] = EOS
    mask = torch.ones(2, T, dtype=torch.bool)
    if masked:  # padding on the left, as transformers pads
        mask[1, :4], token_ids[1, :4] = False, EOS
    X = torch.randn(2, T, R, D, generator=generator)
    table = theirs.ple_embedding.ngram_embedding.weight
    rows = table[scheme.row_ids(token_ids, 1).long()]
    with torch.no_grad():
        expected = theirs(X.flatten(2), token_ids, None, mask if masked else None)
        found = ours(theirs)(X, rows, mask_BT=mask) - X
    torch.testing.assert_close(found.flatten(2), expected, rtol=1e-5, atol=2e-6)
