"""The model: attention, experts, sizes, and the refusal of what does not fit."""

from tests.mutations import Mutation

_MLA = "tests/layers/test_mla.py"
_MOE = "tests/layers/test_moe.py"

MUTATIONS = (
    Mutation(
        "mla-scaled-without-rope",
        "engramctl/layers/mla.py",
        "self.scale = key_dim**-0.5",
        "self.scale = self.head_dim**-0.5",
        (f"{_MLA}::test_whole_chunked_and_absorbed_are_the_sums_written_out",),
    ),
    Mutation(
        "mla-decode-widens-the-cache",
        "engramctl/layers/mla.py",
        "        if num_tokens == 1:\n",
        "        if num_tokens == 0:\n",
        (f"{_MLA}::test_one_token_reads_the_cache_as_it_lies",),
    ),
    Mutation(
        "experts-not-weighed-to-one",
        "engramctl/layers/moe.py",
        "chosen / chosen.sum(-1, keepdim=True)",
        "chosen",
        (f"{_MOE}::test_grouped_experts_are_each_tokens_own",),
    ),
    Mutation(
        "experts-run-on-others-tokens",
        "engramctl/layers/moe.py",
        "                start += size\n",
        "                start += 0\n",
        (f"{_MOE}::test_the_grouped_products_of_a_device_give_the_same",),
    ),
    Mutation(
        "models-share-no-weights",
        "engramctl/measured/model.py",
        "device, like=with_memory)",
        "device)",
        (
            "tests/bench/test_model_options.py::"
            "test_sizes_depth_and_dtype_are_measured_and_recorded",
        ),
    ),
    Mutation(
        "windows-begin-alike",
        "engramctl/layers/init.py",
        ".remainder_(LINE)",
        ".remainder_(1)",
        (
            "tests/layers/test_init.py::"
            "test_a_large_matrix_is_normal_and_its_rows_are_unlike_each_other",
        ),
    ),
    Mutation(
        "refusal-forgets-the-cache",
        "engramctl/model/fit.py",
        "    cached = load.states * load.batch * load.cached * shape.num_layers\n",
        "    cached = load.batch * load.cached * shape.num_layers\n",
        ("tests/model/test_fit.py::test_weights_and_caches_are_what_is_allocated",),
    ),
    Mutation(
        "memories-fall-off-a-cut-model",
        "engramctl/model/settings.py",
        "min(layer, depth - 1 - after)",
        "min(layer, depth - 1)",
        ("tests/model/test_settings.py::test_a_cut_model_keeps_its_first_layers_and_its_memories",),
    ),
)
