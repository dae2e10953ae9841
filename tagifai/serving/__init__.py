"""A model handed on: as an MLflow model, over HTTP, as one file."""
