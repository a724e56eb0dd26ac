"""How rows enter the branches."""
