"""What every other package may stand on; it knows none of them."""
