"""Functions of tensors as machine code: written down, compiled, played back from C++, kept on disk.

``potential`` and ``training`` call it; it knows torch and nothing of Pyro.
"""
