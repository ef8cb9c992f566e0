"""What each command of ``pyro-vae`` does: a module per command, with ``run(arguments) -> exit code``. Called by ``cli``."""
