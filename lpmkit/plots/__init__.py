"""Charts of a run: matplotlib figures for reports, SVG lanes for the live board."""
