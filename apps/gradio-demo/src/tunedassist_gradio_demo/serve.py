"""Starting and ending the server."""

import socket
import time

from ta_schemas import SetupError
from tunedassist_gradio_demo.demo import Demo


def serve(demo: Demo, host: str, port: int) -> None:
    """Show the demo until Ctrl-C. Raises SetupError where the port is taken."""
    number = _free_port(host, port)
    from tunedassist_gradio_demo.app import build, launch_options

    blocks = build(demo)
    demo.models.warm()
    blocks.launch(server_name=host, server_port=number, prevent_thread_lock=True, **launch_options())
    print(f"http://{'127.0.0.1' if host == '0.0.0.0' else host}:{number}/ (Ctrl-C ends)", flush=True)
    try:
        while True:
            time.sleep(3600)
    finally:
        blocks.close(verbose=False)
        demo.models.close()


def _free_port(host: str, port: int) -> int:
    """The port, checked before gradio is loaded; with 0 a free one."""
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((host, port))
        except OSError as error:
            raise SetupError(f"{host}:{port}: {error.strerror}: name another --port") from None
        number: int = trial.getsockname()[1]
        return number
