"""``reefline deploy``: writes and checks the settings of a Docker Compose installation. Touches no data."""
