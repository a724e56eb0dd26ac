"""Two processes give the logits of one, whatever is dealt to them and however a step is cut."""

from functools import partial

import numpy as np
import pytest
import torch

from engramctl.hashing import make_scheme
from engramctl.ranks.exchange import Exchange
from engramctl.ranks.started import run_all
from engramctl.storage import open_table
from engramctl.storage.reading.source import read_values
from tests.helpers.small_table import built_table, small_table
from tests.ranks.two_ranks import BATCH, Scenario, opened, steps, windows

WAYS = (("heads", "mhc", 1), ("rows", "single_pass", 4), ("heads", "none", 1), ("rows", "mhc", 1))


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Scenario, list[dict]]]:  # type: ignore[type-arg]
    folder = tmp_path_factory.mktemp("ranks")
    table = small_table(folder / "table", tier="ssd").path
    at_input = built_table(folder / "input", make_scheme("over-encoding", slots=101))
    scenarios = tuple(Scenario(table, *way) for way in WAYS)
    scenarios += (Scenario(at_input, "heads", "mhc", 4),)
    return list(zip(scenarios, run_all(2, partial(steps, scenarios), {}), strict=True))


def test_every_rank_has_the_logits_of_one_process_bit_for_bit(found) -> None:  # type: ignore[no-untyped-def]
    for scenario, ranks in found:
        assert [rank["logits_off"] for rank in ranks] == [[0.0, 0.0]] * 2, scenario
        assert all(rank["checked"] and not rank["mismatches"] for rank in ranks), scenario


def test_the_logits_of_all_ranks_are_those_of_the_whole_batch(found) -> None:  # type: ignore[no-untyped-def]
    scenario, ranks = found[1]
    table, scheme, model = opened(scenario.folder, scenario.residual)
    window = windows(scheme, scenario.tokens)[-1]
    ids = {layer: scheme.row_ids(window.token_ids_BT, layer, window.history_BC)
           for layer in table.layers}  # fmt: skip

    def rows(layer: int, /) -> torch.Tensor:
        values = read_values(table, layer, ids[layer].reshape(-1))
        return torch.from_numpy(values).view(*ids[layer].shape, -1)

    tokens = torch.from_numpy(window.token_ids_BT % model.config.vocab_size)
    state = model.new_state(BATCH, scenario.tokens)
    whole = model.prefill(tokens, state, rows)
    for schedule in (0, 1):  # rank 0 ends with the sequences of rank 1, and the other way round
        both = np.concatenate([ranks[1]["logits"][schedule], ranks[0]["logits"][schedule]])
        assert np.allclose(both, whole.numpy(), atol=2e-4), np.abs(both - whole.numpy()).max()


def test_an_exchange_counts_what_leaves_the_rank() -> None:
    class TwoPeers:
        rank, world, device = 1, 2, torch.device("cpu")

        def swap(self, sent: torch.Tensor, *_: object) -> torch.Tensor:
            return sent

    with Exchange(TwoPeers()) as exchange:  # type: ignore[arg-type]
        exchange.swap("rows", torch.zeros(5, 3, dtype=torch.bfloat16), [2, 3], [5, 0])
    assert exchange.sent_bytes == {"rows": 2 * 3 * 2, "streams": 0}


def test_what_is_sent_shows_the_width_of_the_residual(found) -> None:  # type: ignore[no-untyped-def]
    own = BATCH // 2
    for scenario, ranks in found:
        branches = 1 if scenario.residual == "none" else 4
        carry = branches * 4 if scenario.residual == "single_pass" else 0
        a_token = branches * 64 * 4 + carry  # `tiny` is 64 wide, f32
        for rank in ranks:
            plain, two, alone = rank["sent"]
            assert plain["streams"] == two["streams"] == own * scenario.tokens * a_token
            assert alone["streams"] == 0
            assert 0 < plain["rows"] <= two["rows"]  # what two micro-batches read goes twice


def test_a_rank_holds_its_share_of_the_rows(found) -> None:  # type: ignore[no-untyped-def]
    for scenario, ranks in found:
        table = open_table(scenario.folder)
        for layer in table.layers:
            held = [rank["held"][layer] for rank in ranks]
            cut = 127 * 8  # rows of pages that two ranks share
            assert max(held) < table.num_rows(layer)
            assert table.num_rows(layer) <= sum(held) < table.num_rows(layer) + cut
