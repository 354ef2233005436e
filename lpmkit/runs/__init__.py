"""One run folder, and many of them: documents, samples, remarks, history, partitions away from home."""
