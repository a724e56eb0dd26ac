"""Which vocabulary ids are of: tokenizer files, token maps, and whether two things share one."""
