"""What is known of two tokenizers is compared, what only one side knows is not."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engramctl.errors import ConfigError, CorpusError
from engramctl.hashing.walk.token_map import Canonical
from engramctl.vocabulary.fingerprints import (
    Fingerprints,
    check_tokenizer,
    counts_are_canonical,
    of_counts,
    of_scheme,
    of_tokenizer,
)
from engramctl.vocabulary.tokenizer_file import load_canonical, map_fingerprint
from tests.helpers.tokenizer_files import OTHER_MAP, OTHER_VOCABULARY, OURS, write_tokenizer

A, B = "a" * 32, "b" * 32
COUNTS = Path("counts")


def of(*digests: str | None) -> Fingerprints:
    return Fingerprints("it", *digests)


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [
        ((A,), (A,), None),
        ((A,), (B,), "vocabulary"),
        ((None, A), (None, B), "tokenizer_file"),
        ((A, A), (A, B), None),  # one vocabulary, written twice
        ((A, A), (B, A), "vocabulary"),
        ((A, A), (None, B), "tokenizer_file"),  # of older counts no more is known
        ((A, None, A), (A, None, B), "token_map"),
        ((None, None, A), (None, None, B), "token_map"),
        ((A, None, A), (None, A, None), None),
        ((), (A, A, A), None),
    ],
)
def test_the_first_thing_that_both_know_decides(
    ours: tuple[str, ...], theirs: tuple[str, ...], expected: str | None
) -> None:
    assert of(*ours).differs(of(*theirs)) == expected
    assert of(*theirs).differs(of(*ours)) == expected


def test_an_older_scheme_and_older_counts_are_known_by_map_and_file(tmp_path: Path) -> None:
    ours = write_tokenizer(tmp_path / "ours.json", OURS)
    other = write_tokenizer(tmp_path / "other.json", OTHER_MAP)
    canonical = load_canonical(ours)
    older = Canonical.mapped(np.asarray(canonical.token_map))
    counts = {"tokenizer_xxh3_128": of_tokenizer(ours).tokenizer_file}
    for wanted in (of_scheme(older, "table"), of_counts(COUNTS, counts)):
        check_tokenizer(ours, wanted)
        with pytest.raises(ConfigError, match=r"other\.json has another"):
            check_tokenizer(other, wanted)
    # the map alone cannot tell these two apart, the vocabulary can
    permuted = write_tokenizer(tmp_path / "permuted.json", OTHER_VOCABULARY)
    check_tokenizer(permuted, of_scheme(older, "table"))
    with pytest.raises(ConfigError, match="another vocabulary"):
        check_tokenizer(permuted, of_scheme(canonical, "table"))


def test_counts_say_by_their_scheme_whose_ids_they_hold() -> None:
    mapped = Canonical.mapped(np.arange(9) // 2, A)
    manifest: dict[str, Any] = {
        "token_map_xxh3_128": map_fingerprint(mapped),
        "scheme": json.loads(json.dumps({"canonical": mapped.to_dict()})),
    }
    assert of_counts(COUNTS, manifest).vocabulary == A
    assert counts_are_canonical(mapped, "scheme", COUNTS, manifest)
    assert not counts_are_canonical(mapped, "scheme", COUNTS, {})
    other = Canonical.mapped(np.arange(9) // 2, B)
    with pytest.raises(CorpusError, match="counts has another vocabulary than scheme"):
        counts_are_canonical(other, "scheme", COUNTS, manifest)
    for unlike in (Canonical.identity(9), Canonical.mapped(np.arange(9) // 3)):
        with pytest.raises(CorpusError, match="another token map"):
            counts_are_canonical(unlike, "scheme", COUNTS, manifest)
    bare = Canonical.of_canonical_ids(5)
    assert counts_are_canonical(bare, "scheme", COUNTS, manifest)
    with pytest.raises(ConfigError, match="takes canonical ids"):
        counts_are_canonical(bare, "scheme", COUNTS, {})


@pytest.mark.parametrize("scheme", [None, [], {"canonical": 3}, {"canonical": {}}])
def test_a_manifest_without_fingerprints_knows_nothing(scheme: Any) -> None:
    found = of_counts(COUNTS, {"scheme": scheme})
    assert (found.vocabulary, found.tokenizer_file, found.token_map) == (None, None, None)


@pytest.mark.parametrize("vocabulary", ["", "A" * 32, "a" * 31, "a" * 32 + "\n", 7])
def test_a_vocabulary_that_is_no_digest_is_refused(vocabulary: Any) -> None:
    document = Canonical.mapped(np.arange(9) // 2).to_dict()
    with pytest.raises((ConfigError, TypeError)):
        Canonical.from_dict({**document, "vocabulary_xxh3_128": vocabulary})
