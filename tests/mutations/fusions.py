"""How rows enter the model: each fusion's own arithmetic, its place, its masks."""

from tests.mutations import Mutation

_GOLDEN = "tests/fusion/test_golden_schemes.py"
_INPUT = "tests/fusion/test_at_input.py"
_BENCH = "tests/bench/test_fusions.py"

MUTATIONS = (
    Mutation(
        "ple-norms-not-zero-centred",
        "engramctl/fusion/gated_lookup.py",
        "return 1 + weight_RD if self.memory.kind.zero_centred else weight_RD",
        "return weight_RD",
        (f"{_GOLDEN}::test_the_ple_layer",),
    ),
    Mutation(
        "word-full-divides-the-word",
        "engramctl/fusion/at_input.py",
        "return word + rows / (1 + num_heads)",
        "return (word + rows) / (1 + num_heads)",
        (f"{_GOLDEN}::test_longcat_with_each_normaliser",),
    ),
    Mutation(
        "slot-0-is-a-row",
        "engramctl/fusion/used_rows.py",
        "heads_BTH = row_ids_BTH != offsets_H",
        "heads_BTH = row_ids_BTH >= offsets_H",
        (f"{_GOLDEN}::test_longcat_next_leaves_specials_as_they_are_and_slot_0_is_nothing",),
    ),
    Mutation(
        "no-match-takes-row-0",
        "engramctl/fusion/used_rows.py",
        "return UsedRows(np.maximum(row_ids_BTH, 0), matched_BTH[..., 0])",
        "return UsedRows(np.maximum(row_ids_BTH, 0))",
        (f"{_INPUT}::test_what_a_dictionary_does_not_match_reads_row_0_and_takes_nothing_of_it",),
    ),
    Mutation(
        "decode-drops-its-mask",
        "engramctl/model/decoder.py",
        "mask_BT = None if mask_B is None else mask_B.unsqueeze(1)",
        "mask_BT = None",
        ("tests/model/test_decoder.py::test_a_decode_step_takes_the_mask_of_its_token",),
    ),
    Mutation(
        "step-leaves-the-mask-out",
        "engramctl/fusion/rows_to_read.py",
        "            mask_BT = use.tokens_BT\n",
        "            pass\n",
        (f"{_BENCH}::test_a_step_gives_the_model_the_mask_and_the_rows_that_count",),
    ),
    Mutation(
        "chosen-fusion-not-taken",
        "engramctl/model/memory_of.py",
        "name = scheme.fuse if fusion is None else fusion",
        "name = scheme.fuse",
        ("tests/model/test_memory_of.py::test_layers_and_fusion_can_be_chosen",),
    ),
    Mutation(
        "dictionary-measured-on-ids-by-chance",
        "engramctl/traffic/trace.py",
        "        if self._ngrams is not None:\n",
        "        if False:\n",
        (f"{_BENCH}::test_text_of_a_dictionary_is_its_ngrams",),
    ),
)
