"""Setting up a site: what managers answer becomes a site file, and a site file is compared with its machines."""
