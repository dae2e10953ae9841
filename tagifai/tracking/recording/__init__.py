"""What a run records: sent to the tracking store at once, or kept and sent later."""
