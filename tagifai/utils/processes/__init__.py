"""Which signals and processes end this process, and which processes it ends."""
