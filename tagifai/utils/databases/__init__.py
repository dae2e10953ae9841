"""Databases before a library opens them: what is wrong with a file, whether a server answers."""
