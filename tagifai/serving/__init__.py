"""Share a model: as an MLflow model, over HTTP, or as one file."""
