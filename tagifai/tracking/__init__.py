"""MLflow: what is recorded there, and what is read from it."""
