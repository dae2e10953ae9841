"""MLflow's SQLite databases: how one is made, what is wrong with one, and what mends it."""

from tagifai.tracking.databases.faults import DatabaseFault, inspect_database
from tagifai.tracking.databases.making import make_database, repair_database

__all__ = ["DatabaseFault", "inspect_database", "make_database", "repair_database"]
