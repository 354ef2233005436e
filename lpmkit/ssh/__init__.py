"""Reach a host: the session contract, batching, the SSH client, kernel receive stamps, and references to secrets."""
