"""Rows by address: where they lie in files or memory, pages and plans, the gather kernel."""
