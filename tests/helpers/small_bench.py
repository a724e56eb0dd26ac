"""The words of a benchmark of a second or two."""

SMALL_BENCH = ("--preset", "tiny", "--samples", "3", "--tokens", "4", "--context", "3")
