import subprocess
import sys

import ta_schemas


def test_the_errors_alone_do_not_load_pydantic() -> None:
    program = "import sys\nfrom ta_schemas import InputError\nprint('pydantic' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_every_public_name_is_found() -> None:
    assert all(hasattr(ta_schemas, name) for name in ta_schemas.__all__)
