"""The page of --help."""
