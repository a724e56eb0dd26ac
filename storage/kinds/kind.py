"""What a path was recognised as, and the errors that say so."""

from dataclasses import dataclass
from pathlib import Path

from engramctl.errors import FormatError


@dataclass(frozen=True)
class PathKind:
    """What a path is.

    Attributes:
        name: one or two words: `counts`, `checkpoint`, `Git LFS pointer`, ...
        says: what follows the path in a sentence: "holds mined counts".
        hint: what to do with it, with the next command.
        stands_in: whether it is there in place of the file that was meant: a pointer, a saved web
            page, nothing, or what is no file.
    """

    name: str
    says: str
    hint: str
    stands_in: bool = False

    def refused(self, path: Path, wanted: str) -> FormatError:
        """Return the error for a path of this kind where another was wanted."""
        return FormatError(
            f"{path} {self.says}",
            facts={"path": path, "expected": wanted, "found": self.name},
            hint=self.hint,
        )
