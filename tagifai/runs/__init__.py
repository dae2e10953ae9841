"""Runs: train, record, find, promote, repeat and remove them."""
