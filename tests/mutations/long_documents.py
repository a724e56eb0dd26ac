"""Documents in pieces."""

from tests.mutations import Mutation

_LONG = "tests/corpus/test_long_documents.py::test_"

MUTATIONS = (
    Mutation(
        "a-cut-ends-a-document",
        "engramctl/counting/chunks.py",
        "batch.offsets[:-1] if batch.is_cut else batch.offsets",
        "batch.offsets",
        (_LONG + "chunks_of_any_size_hold_the_same_documents",),
    ),
    Mutation(
        "a-piece-begins-a-document",
        "engramctl/access/document_starts.py",
        "begins = batch.offsets[batch.goes_on : -1]\n"
        "        lengths = np.diff(batch.offsets)[batch.goes_on :]",
        "begins = batch.offsets[:-1]\n        lengths = np.diff(batch.offsets)",
        (_LONG + "counts_and_rows_read_are_those_of_whole_documents",),
    ),
    Mutation(
        "a-checkpoint-cuts-a-document",
        "engramctl/mining/reading.py",
        "if time.monotonic() >= until and not batch.is_cut:",
        "if time.monotonic() >= until:",
        (_LONG + "a_checkpoint_is_made_between_documents_alone",),
    ),
)
