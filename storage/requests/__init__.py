"""What is asked of a store, and by whom: ids checked, tickets, outputs, counters."""
