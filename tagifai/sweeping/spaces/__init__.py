"""What a search space has: values, and configurations that are tried first."""
