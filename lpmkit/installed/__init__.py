"""What is installed beside lpmkit: the packages of its extras, and plug-ins."""
