"""What people write in files for lpmkit: the parts of the site file, references to secrets, where the site file is."""
