"""What this machine has, what will work on it, and the line that mends what will not."""
