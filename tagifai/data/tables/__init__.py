"""Tables: how a file of any kind becomes rows of texts; the door is `reader`."""
