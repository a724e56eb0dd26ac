"""Names of schemes that commands know without loading what makes them."""

DEFAULT_SCHEME = "deepseek-v41"
DICTIONARY = "dictionary"
