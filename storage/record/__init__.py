"""One row's bytes: dtypes, scales, codecs, and what storing values loses."""
