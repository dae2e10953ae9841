"""A search within a time budget: from a few good configurations to the trained winner."""
