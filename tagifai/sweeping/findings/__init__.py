"""What a search has come to: its gain, the preset of its winner, and what to try next."""
