"""A corpus of real text."""

import pytest

from engramctl.corpus.sample import SampleCorpus, write_sample_corpus


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> SampleCorpus:
    """A part of the standard library's source, about 0.6 M tokens."""
    return write_sample_corpus(
        tmp_path_factory.mktemp("sample"), max_bytes=2_000_000, vocab_size=4096
    )
