"""--if-needed: what is compared, and what is never replaced."""

from tests.mutations import Mutation

_PROOF = "tests/upkeep/test_proof.py"
_PY = "engramctl/upkeep/proof.py"

MUTATIONS = (
    Mutation(
        "another-version-is-the-same",
        _PY,
        "    if before.made_by != now.made_by:\n",
        "    if False:\n",
        (f"{_PROOF}::test_what_another_version_made_is_made_again",),
    ),
    Mutation(
        "replaced-input-is-the-same",
        _PY,
        "    if old.inode != new.inode:\n",
        "    if False:\n",
        (f"{_PROOF}::test_what_differs_is_told_and_the_folder_may_be_replaced",),
    ),
    Mutation(
        "missing-input-is-the-same",
        _PY,
        "        if file not in later:\n",
        "        if False:\n",
        (f"{_PROOF}::test_what_differs_is_told_and_the_folder_may_be_replaced",),
    ),
    Mutation(
        "edited-manifest-is-up-to-date",
        _PY,
        "    if file_digest(folder / maker.document) != record.document_xxh3_128:\n",
        "    if False:\n",
        (f"{_PROOF}::test_what_differs_is_told_and_the_folder_may_be_replaced",),
    ),
    Mutation(
        "unfinished-work-begun-anew",
        "engramctl/upkeep/making.py",
        "        check_unfinished(out, maker, resume=resume)\n",
        "        pass\n",
        (f"{_PROOF}::test_an_unfinished_folder_is_continued_only_with_resume",),
    ),
    Mutation(
        "record-of-an-input-counts",
        "engramctl/upkeep/input_files.py",
        "            if name != RECORD and ",
        "            if ",
        (f"{_PROOF}::test_the_record_of_an_input_is_no_part_of_it",),
    ),
)
