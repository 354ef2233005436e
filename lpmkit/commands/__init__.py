"""The commands of `lpmkit`, a module for each kind; `lpmkit.cli` puts them together. Every command parses, calls the
library once, and prints.
"""
