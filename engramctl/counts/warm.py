"""Row caches filled before anybody asks, with the rows that a corpus reads most."""

from pathlib import Path

from engramctl.counts.accesses import Accesses
from engramctl.errors import ConfigError
from engramctl.storage import Store


def warm_from_counts(store: Store, counts: Path | str) -> None:
    """Fill the row caches of a store with the rows that a corpus reads most.

    The most read go to the fastest tier. What is read so counts as nobody's hit or miss.

    Args:
        store: of a table, with row caches: a mixture, or ssd with a budget.
        counts: a folder that `engramctl mine --scheme` made for such a table: its
            `access.layerNN.parquet` say how often each row was read.

    Raises:
        ConfigError: the store keeps no rows, or the folder does not count this table's.
        FormatError, CorpusError: the folder is not finished, or contradicts itself.
        StorageError: a read failed, or the store is closed.
    """
    if not store.cache_capacity:
        raise ConfigError(
            f"the {store.tier} tier has no row cache to be filled",
            hint="open a mixture, as host:1GiB,ssd; or ssd with a budget that leaves room for one",
        )
    num_rows = {layer: store.num_rows(layer) for layer in store.layers}
    store.warm(Accesses(Path(counts), num_rows).most_read(store.cache_capacity))
