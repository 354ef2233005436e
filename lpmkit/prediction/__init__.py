"""What a move will take: said before it (`before`), renewed at every poll (`forecast`), kept beside what happened (`experience`).

`rounds` plays the passes over memory, `belief` holds what is not known exactly, `pictures` draws. ``docs/prediction.md`` has the arithmetic and its limits.
"""
