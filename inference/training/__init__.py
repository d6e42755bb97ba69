"""Training of the shipped models on generated scenes, and their held-out figures. Needs ``reefline[train]``."""
