"""One module a verb: parse, call the library, hand the result to the sink."""
