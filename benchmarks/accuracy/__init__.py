"""The accuracy of a measured suspension, on real things: ``python -m benchmarks.accuracy [--trials N] [--short] [--out
FOLDER]``.

A real OpenSSH server in a network namespace is frozen and cut off for known times while lpmkit's own probes watch
it and its own analysis judges the record. ``rig`` makes the partition, ``trials`` plays the list, ``score`` holds
the findings against what was really done.
"""
