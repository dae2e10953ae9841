"""Evaluation: metrics, slices and error analysis."""
