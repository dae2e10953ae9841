"""Workers: jobs of a launcher that take their trials from the study."""
