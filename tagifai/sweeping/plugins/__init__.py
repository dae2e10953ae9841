"""Hydra's sweepers beside the search."""
