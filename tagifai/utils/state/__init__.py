"""Files of the stores: written as drafts, and read whatever may be in their place."""
