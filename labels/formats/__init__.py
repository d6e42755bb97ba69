"""File formats: label tables to and from what other programs read. Bytes or plain data in, bytes or plain data out."""
