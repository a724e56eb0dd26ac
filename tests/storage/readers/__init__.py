"""Tests of storage/readers."""
