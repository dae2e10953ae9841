"""task=serve: answer requests over HTTP with a run's model."""
