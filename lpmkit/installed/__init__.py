"""The packages beside lpmkit: those of its extras, and plug-ins."""
