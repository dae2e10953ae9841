"""task=export: write a run's model to one file, to hand on."""
