"""Tokenizers, counts and tables that do not belong together; ids that are canonical, or are not."""

from tests.mutations import Mutation

_COMMANDS = "tests/commands/test_fingerprints.py"
_CANONICAL = "tests/commands/test_canonical_ids.py"
_UNIT = "tests/vocabulary/test_fingerprints.py"

MUTATIONS = (
    Mutation(
        "vocabulary-is-not-compared",
        "engramctl/vocabulary/fingerprints.py",
        'for name in ("vocabulary", "tokenizer_file"):',
        'for name in ("tokenizer_file",):',
        (_UNIT,),
    ),
    Mutation(
        "one-vocabulary-in-two-files-is-two-tokenizers",
        "engramctl/vocabulary/fingerprints.py",
        "                break  # one vocabulary in two files is one tokenizer",
        "                pass",
        (_UNIT,),
    ),
    Mutation(
        "map-of-a-tokenizer-is-not-made",
        "engramctl/vocabulary/fingerprints.py",
        "    if wanted.token_map is not None:\n",
        "    if False:\n",
        (_UNIT,),
    ),
    Mutation(
        "vocabulary-of-the-counts-scheme-is-not-read",
        "engramctl/vocabulary/fingerprints.py",
        "    if vocabulary is None and isinstance(step, dict):",
        "    if False and isinstance(step, dict):",
        (_UNIT,),
    ),
    Mutation(
        "raw-counts-are-taken-for-canonical-ids",
        "engramctl/vocabulary/fingerprints.py",
        "        if canonical.takes_canonical:\n            raise",
        "        if False:\n            raise",
        (_UNIT,),
    ),
    Mutation(
        "vocabulary-without-its-ids",
        "engramctl/vocabulary/tokenizer_file.py",
        'struct.pack("<II", token_id, len(text)) + text',
        'struct.pack("<I", token_id)',
        (_CANONICAL,),
    ),
    Mutation(
        "mine-does-not-record-the-vocabulary",
        "engramctl/mining/facts.py",
        "vocabulary_digest(corpus.tokenizer) if corpus.tokenizer else None",
        "None",
        (_COMMANDS,),
    ),
    Mutation(
        "scheme-forgets-its-vocabulary",
        "hashing/walk/token_map.py",
        '                document["vocabulary_xxh3_128"] = self.vocabulary',
        "                pass",
        (_CANONICAL,),
    ),
    Mutation(
        "tokenizer-of-a-written-scheme-is-not-checked",
        "engramctl/schemes/options.py",
        "        check_tokenizer(tokenizer, of_scheme(canonical, what))",
        "        pass",
        (_COMMANDS,),
    ),
    Mutation(
        "build-takes-counts-of-another-tokenizer",
        "engramctl/tables/build.py",
        "    if init.counts is not None:",
        "    if False:",
        (_COMMANDS,),
    ),
    Mutation(
        "build-takes-a-source-of-another-tokenizer",
        "engramctl/tables/build.py",
        '        check_source(scheme.canonical, f"the new table of {named}", init.source)',
        "        pass",
        (_COMMANDS,),
    ),
    Mutation(
        "dictionary-takes-counts-of-another-tokenizer",
        "engramctl/schemes/find.py",
        "        check_counts_tokenizer(options.counts, options.tokenizer)",
        "        pass",
        (_COMMANDS,),
    ),
    Mutation(
        "inspect-shows-text-of-another-tokenizer",
        "engramctl/counts/text.py",
        "    check_tokenizer(tokenizer, counts)",
        "    pass",
        (_COMMANDS,),
    ),
    Mutation(
        "verify-against-looks-at-rows-alone",
        "engramctl/tables/compare.py",
        "    check_same(of_theirs, of_ours, hint, CheckFailed)",
        "    pass",
        (_COMMANDS,),
    ),
    Mutation(
        "tokenizer-beside-a-checkpoint-is-not-used",
        "engramctl/checkpoints/scheme.py",
        "    if tokenizer is None and not beside.exists():",
        "    if tokenizer is None:",
        (_CANONICAL,),
    ),
    Mutation(
        "checkpoint-without-tokenizer-says-token-ids",
        "hashing/released/configs.py",
        "Canonical.of_canonical_ids(num_canonical)",
        "Canonical.identity(num_canonical)",
        (_CANONICAL,),
    ),
    Mutation(
        "rows-take-token-ids-for-canonical-ones",
        "engramctl/schemes/find.py",
        "    if scheme.canonical.takes_canonical:\n        raise",
        "    if False:\n        raise",
        (_CANONICAL,),
    ),
    Mutation(
        "a-moved-pad-id-is-kept",
        "engramctl/schemes/options.py",
        "    if made.of(fill) != fill:",
        "    if False:",
        (_CANONICAL,),
    ),
    Mutation(
        "bench-does-not-warn-of-a-trace-of-token-ids",
        "engramctl/traffic/trace.py",
        "    if name in GENERATED or not canonical.takes_canonical:",
        "    if True:",
        (_CANONICAL,),
    ),
)
