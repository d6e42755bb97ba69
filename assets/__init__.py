"""Software-defined assets, one module per stage, with their asset checks beside them.

Belongs here: thin bodies that read upstream tables, call one function of a room above, write, return metadata.
Stays out: algorithms (``inference``, ``analytics``), connections (``resources``), triggers (``sensors``).
"""
