"""Phases of a migration, recovery of an interrupted one, and the status of a run."""
