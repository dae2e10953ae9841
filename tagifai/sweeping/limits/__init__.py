"""What limits a search: constraints on its trials, and the end of its improvement."""
