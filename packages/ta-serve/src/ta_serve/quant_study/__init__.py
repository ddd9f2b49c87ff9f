"""What each quantization costs and gains on this machine, and which to take."""
