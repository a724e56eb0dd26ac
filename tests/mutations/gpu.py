"""What the gpu tier, the device kernels and `python -m tests.gpu` promise."""

from tests.mutations import Mutation

TIER, HASHING, SCRIPT = (
    "tests/storage/tiers/test_gpu_tier.py",
    "tests/hashing/kernels/test_on_device.py",
    "tests/gpu/test_gpu_script.py",
)

MUTATIONS = (
    Mutation(
        "cuda-without-index",
        "storage/tiers/door.py",
        'return torch.device("cuda", index)',
        "return where",
        (f"{TIER}::test_cuda_is_the_current_device_by_its_index",),
    ),
    Mutation(
        "cuda-device-not-counted",
        "storage/tiers/door.py",
        "if index >= torch.cuda.device_count():",
        "if index < 0:",
        (f"{TIER}::test_a_device_that_is_not_here_is_refused_when_the_store_is_opened",),
    ),
    Mutation(
        "gpu-memory-freed-while-read",
        "storage/tiers/gpu.py",
        "torch.cuda.synchronize(self.device)",
        "pass",
        (f"{TIER}::test_a_gather_stays_on_its_device_and_waits_for_nothing",),
    ),
    Mutation(
        "gpu-table-larger-than-device",
        "storage/tiers/gpu.py",
        "refuse_above(self.tier, torch.cuda.mem_get_info(self.device)[0], needed, hint)",
        "pass",
        (f"{TIER}::test_a_table_larger_than_the_device_is_refused",),
    ),
    Mutation(
        "widen-no-rows",
        "storage/device/torch_codecs.py",
        "if not len(records):",
        "if len(records) < 0:",
        (
            "tests/storage/device/test_torch_codecs.py::test_any_bytes_are_widened_as_the_plain_decoder_does",
        ),
    ),
    Mutation(
        "widen-smallest-scale",
        "storage/device/torch_codecs.py",
        "torch.where(wide == 0, 0x00400000, wide << 23)",
        "wide << 23",
        (
            "tests/storage/device/test_torch_codecs.py::test_any_bytes_are_widened_as_the_plain_decoder_does",
        ),
    ),
    Mutation(
        "widen-uploads-its-tables",
        "storage/device/torch_codecs.py",
        "return table_on(table, codes.device)",
        "return table_on.__wrapped__(table, codes.device)",
        (f"{TIER}::test_a_gather_stays_on_its_device_and_waits_for_nothing",),
    ),
    Mutation(
        "triton-on-the-wrong-device",
        "hashing/kernels/triton_walk.py",
        "with torch.cuda.device_of(tokens_BT):",
        "with torch.cuda.device(-1):",
        (f"{HASHING}::test_triton_is_started_on_the_device_of_its_tensors",),
    ),
    Mutation(
        "triton-row-address-of-32-bits",
        "hashing/kernels/triton_walk.py",
        "place = out + at[:, None] * heads + head[None, :]",
        "place = out + (at[:, None] * heads).to(tl.int32) + head[None, :]",
        (f"{HASHING}::test_addresses_of_positions_have_64_bits",),
    ),
    Mutation(
        "row-ids-on-another-device",
        "hashing/walk/tensors.py",
        "if out.shape != shape or not out.is_contiguous() or out.device != like.device:",
        "if out.shape != shape or not out.is_contiguous():",
        (f"{HASHING}::test_what_a_kernel_would_read_or_write_wrongly_is_refused",),
    ),
    Mutation(
        "token-ids-of-floats",
        "hashing/walk/tensors.py",
        "if not _is_integer(tokens.dtype) or tokens.dim() < 1:",
        "if tokens.dim() < 1:",
        (f"{HASHING}::test_what_a_kernel_would_read_or_write_wrongly_is_refused",),
    ),
    Mutation(
        "hung-section-leaves-its-children",
        "tests/gpu/process.py",
        "os.killpg(process.pid, signal.SIGKILL)",
        "process.kill()",
        (f"{SCRIPT}::test_a_section_over_its_time_is_ended_with_all_it_started",),
    ),
)
