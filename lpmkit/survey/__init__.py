"""Gather every fact about a move from both ends, and list what could not be gathered."""
