"""What is on disk and in the tracking store: what nobody needs any more, and what is damaged."""
