"""The model: estimators around it, what it predicts, and how it is kept."""
