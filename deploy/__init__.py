"""How it runs: the embedded one-machine runtime (``local/``) and, as files, every other way to deploy."""
