"""Row ids whose token ids are checked later, on a device or not; the history that stays there."""

from tests.mutations import Mutation

LATER, DEVICE, KERNELS, TENSORS, HISTORY = (
    "tests/hashing/kernels/test_checked_later.py",
    "tests/hashing/scheme/test_on_device.py",
    "tests/hashing/kernels/test_kernels.py",
    "tests/hashing/walk/test_tensors.py",
    "tests/hashing/scheme/test_device_history.py",
)
_MEANING = f"{LATER}::test_rows_are_minus_one_where_the_position_alone_is_refused"
_STAYS = f"{DEVICE}::test_after_the_first_call_nothing_leaves_the_device_and_nothing_comes"
_REFUSED = f"{DEVICE}::test_what_cannot_be_captured_is_refused_with_its_reason"
_COMPILED = f"{DEVICE}::test_what_would_be_compiled_in_a_capture_is_refused"
_LIFE = f"{HISTORY}::test_any_life_gives_the_ids_of_the_host"

MUTATIONS = (
    Mutation(
        "bad-windows-one-id-short",
        "hashing/kernels/reference.py",
        "for d in range(1, max_order):",
        "for d in range(2, max_order):",
        (_MEANING,),
    ),
    Mutation(
        "torch-bad-windows-without-history",
        "hashing/kernels/device.py",
        "        bad_BT = bad_BS[:, :length]\n",
        "        bad_BT = bad_BS[:, -length:]\n",
        (_MEANING,),
    ),
    Mutation(
        "triton-marks-the-last-id-alone",
        "hashing/kernels/triton_walk.py",
        "spoilt = spoilt | bad",
        "spoilt = bad",
        (f"{KERNELS}::test_triton_gives_the_reference_rows",),
    ),
    Mutation(
        "later-waits-on-the-device",
        "hashing/kernels/triton_walk.py",
        "        if later:\n            return -1\n",
        "        if later and int(first_bad[0, 0]) < 0:\n            return -1\n",
        (_STAYS,),
    ),
    Mutation(
        "history-of-a-device-through-the-host",
        "hashing/walk/tensors.py",
        "if history is not None and not lies_on(history, device):",
        "if history is not None:",
        (_STAYS,),
    ),
    Mutation(
        "history-of-a-device-at-the-wrong-end",
        "hashing/walk/tensors.py",
        "padded_BC[:, context - past_BC.shape[1] :] = past_BC",
        "padded_BC[:, : past_BC.shape[1]] = past_BC",
        (f"{TENSORS}::test_a_history_on_a_device_reads_as_one_on_the_host",),
    ),
    Mutation(
        "ids-of-64-bits-as-masks",
        "hashing/walk/tensors.py",
        "if ids.dtype == torch.uint64 else signed",
        "if ids.dtype == torch.uint32 else signed",
        (f"{TENSORS}::test_ids_of_64_bits_do_not_come_back_as_negative_ones",),
    ),
    Mutation(
        "captured-constants",
        "hashing/scheme/on_device.py",
        "    if captured and walk is None:\n",
        "    if captured and walk is False:\n",
        (_REFUSED,),
    ),
    Mutation(
        "captured-host-history",
        "hashing/scheme/on_device.py",
        "if history is not None and not lies_on(history, device):",
        "if history is not None and not hasattr(history, 'device') and False:",
        (_REFUSED,),
    ),
    Mutation(
        "captured-compilation",
        "hashing/scheme/on_device.py",
        "if captured and not walk.is_ready(tokens_BT, history_BC, out_BTH):",
        "if captured and not walk:",
        (_COMPILED,),
    ),
    Mutation(
        "alignment-is-no-form",
        "hashing/kernels/triton_walk.py",
        "*(is_aligned(one) for one in (tokens_BT, history_BC, out_BTH)),",
        "",
        (_COMPILED,),
    ),
    Mutation(
        "nothing-counts-as-compiled",
        "hashing/kernels/triton_walk.py",
        "return not tensors[0].numel() or _form(*tensors) in self._compiled",
        "return _form(*tensors) in self._compiled",
        (f"{DEVICE}::test_a_call_like_an_earlier_one_can_be_captured",),
    ),
    Mutation(
        "unsigned-rows-of-minus-one",
        "hashing/walk/tensors.py",
        "if negative and not out.dtype.is_signed:",
        "if negative and not out.dtype.itemsize:",
        (f"{DEVICE}::test_an_unsigned_out_cannot_hold_rows_of_minus_one",),
    ),
    Mutation(
        "dictionary-checks-later",
        "hashing/dictionary/dictionary_scheme.py",
        "        if is_later(check):\n",
        "        if is_later(check) and out is not None:\n",
        (f"{LATER}::test_a_dictionary_cannot_tell_later_and_says_so",),
    ),
    Mutation(
        "device-history-moves",
        "hashing/scheme/device_history.py",
        "self._ids_BK.copy_(longer[:, tokens_BT.shape[1] :])",
        "self._ids_BK = longer[:, tokens_BT.shape[1] :]",
        (_LIFE,),
    ),
    Mutation(
        "lost-ids-read-as-start",
        "hashing/scheme/device_history.py",
        "torch.full_like(oldest_B1, OUTSIDE).masked_fill",
        "torch.full_like(oldest_B1, START).masked_fill",
        (f"{HISTORY}::test_ids_that_are_lost_give_rows_of_minus_one_until_they_are_out_of_reach",),
    ),
)
