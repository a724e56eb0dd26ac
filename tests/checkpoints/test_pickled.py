"""A store of a checkpoint's rows is pickled by path, with the scheme it was given."""

import pickle
from pathlib import Path

import numpy as np
import torch

from engramctl.checkpoints import open_store, read_scheme
from tests.checkpoints import make


def test_a_checkpoints_store_is_opened_again_where_it_lies(tmp_path: Path) -> None:
    make.longcat(tmp_path / "model")
    scheme = read_scheme(tmp_path / "model")
    with open_store(tmp_path / "model", scheme=scheme) as store:
        ids = np.arange(6).reshape(1, 6)
        with pickle.loads(pickle.dumps(store)) as again:
            assert again.scheme == scheme.to_dict()
            assert torch.equal(again.gather(0, ids), store.gather(0, ids))
