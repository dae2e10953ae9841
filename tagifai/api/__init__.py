"""The package in Python: what `import tagifai` offers beside a tagger's own methods."""
