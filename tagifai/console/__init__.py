"""Output on the terminal: lines, tables, progress and errors."""
