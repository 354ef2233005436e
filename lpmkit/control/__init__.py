"""Talk to the managers (IVM and HMC), to virtual I/O servers and to AIX: listings, readers, codes."""
