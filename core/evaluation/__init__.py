"""Metrics, calibration, intervals and the comparison of runs."""
