"""The processes of this machine that run the jobs of a search or a multirun."""
