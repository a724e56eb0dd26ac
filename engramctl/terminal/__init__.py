"""Between us and the person: the streams as they were handed over, tables that fit a window."""
