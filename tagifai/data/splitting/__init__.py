"""Splits of rows into train, validation and test rows, each way in a module of its own."""
