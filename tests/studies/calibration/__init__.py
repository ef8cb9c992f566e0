"""Calibration studies: what is simulated, what is kept, and what is found."""
