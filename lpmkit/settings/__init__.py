"""The files that people write for lpmkit: the parts of the site file, references to secrets, where the site file is."""
