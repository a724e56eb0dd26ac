"""What kernels that gather on a device promise, and the flag of ids that were no rows."""

from tests.mutations import Mutation

GATHERING = "tests/storage/device/test_gathering.py"
INTERPRETED = f"{GATHERING}::test_triton_gives_the_plain_rows_where_it_is_interpreted"
TORCH = (f"{GATHERING}::test_torch_gives_the_plain_rows",)
FLAG = "tests/storage/device/test_bad_ids.py"
IDS = "tests/storage/tiers/test_device_ids.py"

MUTATIONS = (
    Mutation(
        "triton-record-address-of-32-bits", "storage/device/triton_gather.py",
        "record = records + ids * record_bytes",
        "record = records + ids.to(tl.int32) * record_bytes",
        (f"{INTERPRETED}[addresses]",),
    ),
    Mutation(
        "triton-writes-past-a-row", "storage/device/triton_gather.py",
        "kept = kept & (group[:, None] * width + v[None, :] < row_dim)",
        "kept = kept & (v[None, :] < row_dim)",
        (f"{INTERPRETED}[rows]",),
    ),
    Mutation(
        "triton-bad-id-of-every-group", "storage/device/triton_gather.py",
        "missed = here & (is_row == 0) & (group == 0)",
        "missed = here & (is_row == 0) & (group == 1)",
        (f"{INTERPRETED}[rows]",),
    ),
    Mutation(
        "triton-smallest-scale", "storage/device/triton_codecs.py",
        "tl.where(code == 0, 0x00400000, code << 23)",
        "code << 23",
        (f"{INTERPRETED}[rows]",),
    ),
    Mutation(
        "triton-e4m3-without-nan", "storage/device/triton_codecs.py",
        "_E4M3_MAX = tl.constexpr(448.0)",
        "_E4M3_MAX = tl.constexpr(480.0)",
        (f"{INTERPRETED}[rows]",),
    ),
    Mutation(
        "triton-scale-read-amid-a-word", "storage/device/triton_gather.py",
        "gcd(spec.record_bytes, scale_at, scale_step) % item == 0",
        "item == 0",
        (f"{GATHERING}::test_scales_are_read_as_words_where_they_begin_at_one",),
    ),
    Mutation(
        "triton-fuses-multiply-and-add", "storage/device/triton_gather.py",
        'EXACT = {"enable_fp_fusion": False}',
        'EXACT = {"enable_fp_fusion": True}',
        (f"{GATHERING}::test_every_dtype_becomes_machine_code_that_rounds_as_the_plain_decoder",),
    ),
    Mutation(
        "gather-starts-on-the-current-device", "storage/device/gathering.py",
        'if self.device.type != "cuda" or torch.cuda.current_device() == self.device.index:',
        "if True:",
        (f"{GATHERING}::test_kernels_start_on_the_device_of_their_tensors",),
    ),
    Mutation(
        "records-begin-anywhere", "storage/device/gathering.py",
        "if by_triton and word > 1 and triton_gather.address_of(records) % word:",
        "if by_triton and word < 1 and triton_gather.address_of(records) % word:",
        (f"{GATHERING}::test_records_that_begin_amid_a_word_are_refused",),
    ),
    Mutation(
        "torch-keeps-the-row-of-a-bad-id", "storage/device/torch_gather.py",
        "found = torch.where(is_row[:, None], found, missing).to(out.dtype)",
        "found = found.to(out.dtype)",
        TORCH,
    ),
    Mutation(
        "torch-gather-loses-last-chunk", "storage/device/torch_gather.py",
        "for first in range(0, len(row_ids), CHUNK_ROWS):",
        "for first in range(0, len(row_ids) - CHUNK_ROWS + 1, CHUNK_ROWS):",
        TORCH,
    ),
    Mutation(
        "widen-scales-of-one-record-in-place", "storage/device/torch_codecs.py",
        "scales = scales.clone(memory_format=torch.contiguous_format)",
        "scales = scales.contiguous()",
        TORCH,
    ),
    Mutation(
        "bad-id-looked-at-before-it-came", "storage/device/bad_ids.py",
        "if one.era == self._era and one.event.query()]",
        "if one.era == self._era]",
        (f"{FLAG}::test_nothing_is_found_before_its_copy_has_come",),
    ),
    Mutation(
        "bad-id-told-again", "storage/device/bad_ids.py",
        "if one.era == self._era and one.event.query()]",
        "if one.event.query()]",
        (f"{FLAG}::test_what_was_told_is_forgotten_and_the_next_is_found",),
    ),
    Mutation(
        "flag-copied-while-a-graph-is-captured", "storage/device/bad_ids.py",
        "if not self._asynchronous or torch.cuda.is_current_stream_capturing():",
        "if not self._asynchronous:",
        (f"{FLAG}::test_while_a_graph_is_captured_nothing_is_queued_or_asked",),
    ),
    Mutation(
        "bad-id-never-cleared", "storage/tiers/gpu.py",
        "told.clear()",
        "pass",
        (f"{IDS}::test_a_bad_id_gives_nan_and_is_told_by_the_next_call_once",),
    ),
    Mutation(
        "ids-on-the-device-not-copied", "storage/tiers/gpu.py",
        "return device_request(row_ids, self.device, copied=ahead)",
        "return device_request(row_ids, self.device, copied=False)",
        (f"{IDS}::test_prefetch_copies_the_ids",),
    ),
    Mutation(
        "ids-of-another-device", "storage/requests/device_ids.py",
        "if row_ids.device != device:",
        "if row_ids.is_cpu:",
        (f"{IDS}::test_ids_on_the_device_stay_there_and_nothing_waits",),
    ),
    Mutation(
        "bad-ids-told-without-a-copy", "storage/tiers/gpu.py",
        "            told.note()",
        "            pass",
        (f"{IDS}::test_ids_on_the_device_stay_there_and_nothing_waits",),
    ),
)  # fmt: skip
