"""Data sets: fetched, read, checked, stored and split."""
