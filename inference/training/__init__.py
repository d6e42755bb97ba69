"""Training: of the shipped models on generated scenes (``reefline[train]``), and of an installation's own on releases.

``recipe``, ``yolo_dataset`` and ``yolo`` are the second kind (``reefline[torch]``); ``assets/models`` runs them.
"""
