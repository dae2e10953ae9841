"""The tasks: each module has one public function, `run`, which takes the checked configuration."""
