"""Hyperparameter search with Optuna, as a sweeper of Hydra."""
