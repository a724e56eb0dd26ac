"""Figures drawn by matplotlib, which is loaded here only: for a paper, or inside a page."""
