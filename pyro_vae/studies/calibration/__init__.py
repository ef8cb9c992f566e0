"""Simulation-based calibration: is the posterior right for parameters from the prior and data from the model?

``simulating`` draws data sets, ``study`` fits one, ``workers`` all, ``records`` keep them, ``result`` shows them.
"""
