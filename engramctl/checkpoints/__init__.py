"""Model checkpoints: what their files say about a memory, handed to hashing and storage."""

from engramctl.checkpoints.scheme import read_scheme

__all__ = ["read_scheme"]
