"""What people write in files for lpmkit: references to secrets, sinks, and where the site file is."""
