"""The sub-commands of ``hemaview``, one module each with ``run(arguments) -> exit code``.

Every module here imports what is heavy inside its functions, so that help and version answer at once.
"""
