"""What commands share: options, inputs, and how the words of a line are read."""
