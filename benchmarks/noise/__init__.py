"""Everyday noise in a database and a SAP system around a move, and losses planted in it: what is told apart."""
