"""task=import: take in a model that somebody has exported, after all of it has been checked."""
