"""lpmkit: move a running partition with PowerVM Live Partition Mobility, and prove what its users felt."""

__version__ = "0.1.0"
