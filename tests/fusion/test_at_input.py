"""What a fusion at the input promises beyond its golden vectors."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from engramctl.errors import ConfigError
from engramctl.fusion.at_input import InputMemory
from engramctl.fusion.used_rows import used_rows
from engramctl.hashing import DictionaryScheme, make_scheme
from engramctl.layers.fusions import AT_INPUT, Fusion
from engramctl.layers.init import Draw
from engramctl.model.presets import preset
from tests.model.shapes import memory

B, T, D = 2, 7, 64


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def module(
    fusion: Fusion, dtype: torch.dtype = torch.float32, row_dim: int = 8
) -> tuple[InputMemory, Tensor, Tensor]:
    """Return a fusion, words and rows."""
    config = replace(memory(fusion), row_dim=row_dim)
    made = InputMemory(preset("tiny"), config, Draw(0, dtype))
    rows = draw(B, T, config.num_heads, row_dim, seed=1)
    return made, draw(B, T, D).to(dtype), rows.to(dtype)


@pytest.mark.parametrize("fusion", AT_INPUT)
def test_a_masked_token_keeps_its_own_embedding_and_no_other(fusion: Fusion) -> None:
    made, words, rows = module(fusion)
    mask = draw(B, T, seed=2) > 0
    found = made(words, rows, mask_BT=mask)
    assert torch.equal(found[~mask], words[~mask])
    assert torch.equal(found[mask], made(words, rows)[mask])
    assert not torch.isclose(found[mask], words[mask]).all(-1).any()


@pytest.mark.parametrize("fusion", ["blt", "dictionary"])
def test_rows_as_wide_as_the_model_enter_as_they_are(fusion: Fusion) -> None:
    made, words, rows = module(fusion, row_dim=D)
    assert made.projection is None
    expected = rows[..., 0, :] if fusion == "dictionary" else words + rows.sum(-2)
    torch.testing.assert_close(made(words, rows), expected)


@pytest.mark.parametrize("fusion", AT_INPUT)
def test_bfloat16_is_near_float32(fusion: Fusion) -> None:
    made, words, rows = module(fusion, torch.bfloat16)
    exact, *_ = module(fusion)
    assert made(words, rows).dtype == torch.bfloat16
    torch.testing.assert_close(
        made(words, rows).float(), exact(words.float(), rows.float()), rtol=3e-2, atol=3e-2
    )


def test_a_dictionary_replaces_by_one_row() -> None:
    with pytest.raises(ConfigError, match="replaces a token by one row"):
        replace(memory("dictionary"), num_heads=2)


def test_what_a_dictionary_does_not_match_reads_row_0_and_takes_nothing_of_it() -> None:
    scheme = DictionaryScheme.of([(5, 9), (7, 5, 9)], vocab_size=10)
    ids = np.array([[5, 9, 7, 5, 9, 1]])
    used = used_rows(scheme, 0, ids, scheme.row_ids(ids, 0))
    assert used.row_ids_BTH[0, :, 0].tolist() == [0, 0, 0, 0, 1, 0]
    assert used.tokens_BT is not None
    assert used.tokens_BT[0].tolist() == [False, True, False, False, True, False]
    assert used.heads_BTH is None


def test_special_tokens_of_a_scope_take_nothing_and_row_0_is_a_row() -> None:
    scheme = make_scheme(
        "longcat-special-scope", vocab_size=50, slots=97, specials=[(0, 3), (40, 45)]
    )
    ids = np.array([[0, 3, 44, 45]])
    used = used_rows(scheme, 0, ids, scheme.row_ids(ids, 0))
    assert used.tokens_BT is not None
    assert used.tokens_BT.tolist() == [[False, True, False, True]]
    assert used.heads_BTH is None


def test_masked_tokens_take_nothing_where_the_scheme_knows_them() -> None:
    scheme = make_scheme("deepseek-v41", vocab_size=50, slots=97)
    for ids, expected in (([[4, -1, 5]], [[True, False, True]]), ([[4, 5]], None)):
        tokens = np.array(ids)
        used = used_rows(scheme, 1, tokens, scheme.row_ids(tokens, 1))
        assert (None if used.tokens_BT is None else used.tokens_BT.tolist()) == expected
