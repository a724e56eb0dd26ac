"""Between us and a person: the streams we were handed, tables that fit."""
