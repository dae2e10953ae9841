"""Data sets: fetch, read, check, store, prepare and split them."""
