"""How the numbers in ``models/reference`` were found: by quadrature, closed forms and deterministic optimisation.

``python -m tests.models.oracles`` writes the files anew; ``test_reference.py`` derives the numbers again and compares.
"""
