"""The one error of decoding."""


class UndecodableImage(ValueError):
    """The bytes are no picture that can be used; the message is the reason, for people."""
