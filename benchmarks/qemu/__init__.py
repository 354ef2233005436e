"""Real live migrations between two local emulator processes, to judge predictions and estimators by."""
