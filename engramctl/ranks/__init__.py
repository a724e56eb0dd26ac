"""Several processes, one model: rows dealt to them, asked of each other, passed on in time."""
