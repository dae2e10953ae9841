"""The configuration: its schema, its paths, and the one door from it to objects."""
