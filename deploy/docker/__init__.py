"""Images: the Dockerfile, which locked packages go into which image, and the health check inside them."""
