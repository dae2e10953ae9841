"""task=rerun: train a run again from its own record, and compare."""
