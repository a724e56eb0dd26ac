"""A result as `engramctl.bench/1` had it."""

from typing import Any

COMMON: dict[str, Any] = {
    "phase": "decode", "cache": "warm", "loop": "warm", "engine": "memory", "rows": 48, "tokens": 1,
    "batch": 1, "status": "ok", "reason": None, "useful_bytes": 3168, "device_bytes": None,
    "device_reads": None, "resident_percent": {"before": None, "after": None},
    "ceiling_rows_per_s": None, "stall_ns": None, "rows_per_s": None,
    "against": {"none_percent": None, "resident_percent": None},
    "check": {"rows": 0, "mismatches": 0},
}  # fmt: skip
FIRST: dict[str, Any] = {
    "schema": "engramctl.bench/1",
    "environment": {"cpu": "a processor", "engramctl": "0.1.0"},
    "config": {"path": "shards", "scheme": "deepseek-v41", "trace": "uniform", "tiers": ["host"]},
    "resolution_percent": 1.5,
    "warnings": [],
    "cases": [
        {**COMMON, "name": "gather", "tier": "host", "samples_ns": [5, 4, 9], "p50_ns": 5,
         "p99_ns": 9, "rows_per_s": 9_600_000_000, "check": {"rows": 144, "mismatches": 0}},
        {**COMMON, "name": "step", "tier": "none", "cache": None, "rows": 0,
         "samples_ns": [100, 100, 100], "p50_ns": 100, "p99_ns": 100},
        {**COMMON, "name": "step", "tier": "host", "samples_ns": [101, 101, 101], "p50_ns": 101,
         "p99_ns": 101, "against": {"none_percent": 1.0, "resident_percent": None}},
        {**COMMON, "name": "step", "tier": "gpu", "status": "skipped", "reason": "no CUDA",
         "samples_ns": [], "p50_ns": None, "p99_ns": None},
    ],
}  # fmt: skip
