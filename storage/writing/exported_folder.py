"""The files of an exported folder, by their names."""

from engramctl.storage.writing.ownership import Maker

MAKER = Maker(
    "export",
    r"model-\d+-of-\d+\.safetensors|model\.safetensors\.index\.json"
    r"|layer\d+/(engram_v\d+_\d+_r\d+\.(weight\.bin|scale\.bin|done\.json))?",
    document="export.json",
    resumable=False,
)
