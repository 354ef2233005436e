"""Widgets for JupyterLab and the application without cells."""
