"""Pages made from run folders: the report, comparisons and the write-up for the change record."""
