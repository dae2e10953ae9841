"""task=promote: make the best training run the champion, if it beats the present one."""
