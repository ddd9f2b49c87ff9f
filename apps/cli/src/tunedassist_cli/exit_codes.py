"""What an exit code means: the table of `tunedassist exit-codes`."""

EXIT_CODES: dict[int, str] = {
    0: "done",
    1: "a bug in TunedAssist (the traceback is shown)",
    2: "the command line is wrong: unknown option, missing argument",
    3: "the input is wrong: a file, a line, a field, a configuration key",
    4: "an artifact was refused: tampered, half-written, of another kind, too new, in the way",
    5: "the machine lacks something: a package extra, a model, disk space, a permission",
    6: "the verdict was negative: a gate failed",
    130: "stopped by Ctrl-C; what was finished is kept",
}
