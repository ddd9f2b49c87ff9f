"""Runs shell commands in bubblewrap and tells what they did: output, files, shell state.

    sandbox = find_sandbox()            # Refused("no bwrap …") where there is none: nothing is run then
    execute(sandbox, "tar -xf a.tar", setup="…")

`driver.sh` runs inside; `snapshot` reads what it saw; `equivalence` compares two commands by it.
"""
