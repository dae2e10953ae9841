"""Runs as a whole: made, recorded, found again, promoted and removed."""
