"""Plots: arrays in, matplotlib figures out; nothing here reads or writes a file."""
