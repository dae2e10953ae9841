"""Texts to numbers: cleaning, labels and vectorizers."""
