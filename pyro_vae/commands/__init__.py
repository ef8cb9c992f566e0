"""The commands of ``pyro-vae``: a module each, called by ``cli``.

A command's module has ``HELP`` (what it does, in a line), maybe ``MORE`` (a sentence for its own ``--help``),
``add_arguments(parser)`` and ``run(arguments) -> exit code``. It imports nothing heavy before it runs.
"""

# In the order of --help.
COMMANDS = (
    "compare",
    "check",
    "fit",
    "sample",
    "reconstruct",
    "report",
    "nuts",
    "gradients",
    "calibrate",
    "list",
    "new",
)
FOUND, WRONG, INTERRUPTED = 1, 2, 130  # exit codes: what was asked for is so; an error that a person can mend; Ctrl-C
