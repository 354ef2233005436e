"""Detached processes that work on a folder: their start, and the requests of front ends to them."""
