"""The configuration: its schema, its paths, and how objects are made from it."""
