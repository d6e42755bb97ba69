"""What goes wrong in removal."""


class RemovalError(RuntimeError):
    """The strings cannot be removed as asked; the message says why and what to do."""
