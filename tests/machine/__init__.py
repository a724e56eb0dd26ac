"""Tests of engramctl/machine."""
