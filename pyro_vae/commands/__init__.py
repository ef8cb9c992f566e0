"""What each command of ``pyro-vae`` does: a module each, with ``run(arguments) -> exit code``. Called by ``cli``."""
