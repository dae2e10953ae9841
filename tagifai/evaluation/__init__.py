"""How good a model is: metrics, slices and the mistakes it makes."""
