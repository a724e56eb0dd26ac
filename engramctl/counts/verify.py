"""Are the files of a counts folder those that its manifest lists?"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engramctl.errors import CheckFailed
from engramctl.storage.verifying.integrity import VerifyReport, verify_files


def verify_counts(path: Path, manifest: Mapping[str, Any]) -> VerifyReport:
    """Check every file that the manifest lists with a checksum.

    Args:
        path: the folder.
        manifest: as it is read from there.

    Raises:
        CheckFailed: the first file that is wrong.
        StorageError: it cannot be read.
    """
    lists = [value for key, value in manifest.items() if key != "corpus"]
    entries = [one for value in lists if isinstance(value, list) for one in value]
    listed = [one for one in entries if isinstance(one, dict) and "xxh3_128" in one]
    try:
        return verify_files(path, listed)
    except CheckFailed as error:
        raise CheckFailed(
            error.message, facts=error.facts, hint=f"run: engramctl mine ... -o {path} --force"
        ) from error
