"""The process that records a run: it asks for the move, polls the managers and runs the probes."""
