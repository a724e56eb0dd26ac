"""The files of a folder of tables or shards, by their names."""

from engramctl.storage.writing.ownership import Maker

_FILES = (
    r"layer\d+\.(weight|scale|records)\.\d+\.safetensors"
    r"|dictionary\.(records\.\d+|index)\.safetensors"
)


def table_maker(command: str) -> Maker:
    """Return a command that writes tables, for `check_target`: `build` or `layout`."""
    return Maker(command, _FILES)
