"""Detached processes that carry out a folder's work: how they are started, and what front ends ask of them."""
