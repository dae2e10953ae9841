"""The tasks; each module has one function, `run`, from a checked configuration to a result."""
