"""What is recorded of a training run, at once or later."""
