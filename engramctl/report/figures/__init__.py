"""What a report shows, one figure a file: what is drawn, what to conclude, the numbers."""
