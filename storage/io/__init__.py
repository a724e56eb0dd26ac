"""Rows out of mapped files: their addresses, pages, the gather kernel."""
