"""Names of corpora -> files: by one rule, here and on remote systems."""

from engramctl.sources.file import SourceFile, printable
from engramctl.sources.find import Found, find_files

__all__ = ["Found", "SourceFile", "find_files", "printable"]
