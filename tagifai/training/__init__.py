"""Training: the loop, its callbacks, the objective."""
