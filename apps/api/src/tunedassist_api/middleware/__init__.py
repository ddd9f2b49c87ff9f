"""What a request passes before its route: plain ASGI, so that streams stay streams."""
