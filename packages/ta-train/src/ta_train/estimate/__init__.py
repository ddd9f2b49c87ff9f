"""What a run will take, before it is started: memory by part, and time (`ta-train estimate`)."""
