"""What each command of ``pyro-vae`` does: a module each, with ``run(arguments) -> exit code``. Called by ``cli``."""

WRONG, INTERRUPTED = 2, 130  # exit codes: an error that a person can mend; Ctrl-C
