"""Experiments: many trainings planned as one comparison, run as a grid that shares what it can, and aggregated."""
