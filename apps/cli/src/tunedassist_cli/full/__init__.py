"""The whole way (`tunedassist run --all`): preferences, every system measured, attacked, released."""
