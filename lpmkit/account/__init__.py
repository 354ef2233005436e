"""This account: the person who acts, and the log file."""
