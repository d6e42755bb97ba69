"""Docker Compose: one ``compose.yaml`` with profiles, overlays beside it, and the settings that the services read."""
