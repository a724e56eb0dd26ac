"""Tiny shapes on one thread: with more, the same block varies from 1 ms to 100 ms."""

from tests.helpers.one_thread import one_thread

__all__ = ["one_thread"]
