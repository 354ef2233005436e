"""Compare adapters, disks and networks of both ends, and build the attributes that keep a mapping."""
