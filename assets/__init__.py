"""Software-defined assets, one module per stage, with their asset checks beside them.

Belongs here: thin bodies that read upstream tables, call one function of a room above, write, return metadata.
Stays out: algorithms (``inference``, ``analytics``), connections (``resources``), triggers (``sensors``).
"""

import warnings

import dagster as dg

# Partitioned asset checks are a preview in Dagster 1.13; they do what is needed here, and tests hold them to it.
warnings.filterwarnings("ignore", category=dg.PreviewWarning)
