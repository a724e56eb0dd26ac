"""What a shell offers at Tab: commands, options, values; and its script."""
