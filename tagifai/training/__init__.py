"""Training: components, the epoch loop, its callbacks, and the objective."""
