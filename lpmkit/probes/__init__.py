"""Probes: they ask the workload for a sign of life, each on its own schedule, in a process of their own."""
