"""One file a verb: options in, one call, the result to the sink."""
