"""The `tunedassist` command (short `ta`): the installed stages, the pipeline, chat.

Nothing is imported here, so that `tunedassist --help` loads no heavy library.
"""
