"""The whole pipeline on text every machine has, as steps."""
