"""Guides judged on reference posteriors: ``python -m tests.references`` measures, and writes a CSV and a table."""
