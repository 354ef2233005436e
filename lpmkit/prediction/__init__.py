"""Prediction of a move: before it (`predicting`, from `prior`), at every poll (`forecast`), and stored beside the
outcome (`history`).

`rounds` runs the copy passes, `distributions` holds uncertain figures, `calibration` corrects intervals.
``docs/prediction.md`` has the arithmetic and its limits.
"""
