"""A result as people and programs read it: rows, tables, facts in words."""
