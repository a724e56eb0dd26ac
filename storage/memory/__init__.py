"""Memory of our own for rows: its size known, its pages huge where the machine has them."""
