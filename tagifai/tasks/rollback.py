"""task=rollback: give the champion's alias back to the version that had it before."""
