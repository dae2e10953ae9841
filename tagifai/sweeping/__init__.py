"""Hyperparameter search with Optuna, as a Hydra sweeper."""
