"""Plain multiruns: their jobs before they run, and their board when they have run."""
