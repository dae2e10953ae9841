"""Helpers for files, locks, processes and terminals; they use no other package of tagifai."""
