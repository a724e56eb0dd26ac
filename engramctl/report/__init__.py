"""Figures of counts and results, each with its numbers: one page, Markdown, pictures."""
