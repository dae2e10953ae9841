"""Sentence encoders: where they are, what they are made of, and what is kept of their work."""
