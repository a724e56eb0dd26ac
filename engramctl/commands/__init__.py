"""One file a verb, and the options they share: parse, call, show."""
