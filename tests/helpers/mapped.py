"""Which addresses of this process are mapped now."""

from pathlib import Path


def is_mapped(address: int) -> bool:
    """Whether the byte there belongs to some mapping."""
    lines = Path("/proc/self/maps").read_text().splitlines()
    spans = (line.split()[0].split("-") for line in lines)
    return any(int(low, 16) <= address < int(high, 16) for low, high in spans)
