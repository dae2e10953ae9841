"""What the system refuses, from full disks to missing memory, told in a sentence."""
