"""What all stages share: names, partitions, the per-picture runner, metadata people look at."""
