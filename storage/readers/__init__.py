"""Byte ranges of files read into memory, many at a time, by whichever engine works here."""
