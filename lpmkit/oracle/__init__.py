"""The database: what its alert log says of a move.

Reading (`alert_log`) never judges; judging (`classify`) never reads a file.
"""
