"""engramctl: build, lay out and measure hashed n-gram memories.

Importing this package loads nothing heavy, and needs nothing of the machine.
"""

__version__ = "0.1.0"
__all__ = ["__version__"]
