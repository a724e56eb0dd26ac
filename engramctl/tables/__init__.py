"""Tables built, laid out again, exported, compared, checked."""
