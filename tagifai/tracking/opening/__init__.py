"""Open a tracking store: what it is asked before MLflow, its client, and what its errors mean."""

from tagifai.tracking.opening.client import limit_opening, open_client

__all__ = ["limit_opening", "open_client"]
