"""Small schemes and counts mined for them, through the commands."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from engramctl.hashing import Scheme, make_scheme
from tests.conftest import run_in_process
from tests.helpers.corpora import write_ids


def run(*words: object, fails: int = 0) -> Any:
    """Run a command and return its document, or, when it is to fail, its message."""
    result = run_in_process(*words, "--json", "-q")
    assert result.exit_code == fails, result.stderr
    return result.stderr if fails else json.loads(result.stdout)


def small_scheme(name: str, vocabulary: int, *, mapped: bool, eos_id: int, **sizes: Any) -> Scheme:
    """Two layers and heads; `mapped`: three token ids are one canonical id."""
    ids: dict[str, Any] = {"vocab_size": vocabulary}
    if mapped:
        ids = {"token_map": np.arange(vocabulary) // 3}
    if name == "qwen-ple":
        ids["eos_id"] = eos_id
    scheme = make_scheme(name, **ids, **{"heads_per_order": 2, "layers": (1, 4), **sizes})
    assert isinstance(scheme, Scheme)
    return scheme


def mined(
    folder: Path, scheme: Scheme, documents: Sequence[list[int]], *, canonical: bool = False
) -> tuple[Path, Path]:
    """Return the scheme's file, and counts of token ids or of canonical ids."""
    file = folder / "scheme.json"
    file.write_text(json.dumps(scheme.to_dict()))
    corpus = write_ids(folder / "corpus.parquet", documents)
    with_scheme = ["--scheme", file] if canonical else []
    run("mine", corpus, "-o", folder / "counts", "--orders", "2,3,4", *with_scheme)
    return file, folder / "counts"
