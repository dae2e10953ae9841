"""Plots: from arrays to matplotlib figures, without reading or writing files."""
