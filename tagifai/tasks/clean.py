"""task=clean: show what nobody needs any more; task.apply=true removes it."""
