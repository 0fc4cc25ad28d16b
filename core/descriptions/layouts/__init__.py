"""Layouts of description files: each reads a text as {class: [sentences]} and writes such a table as a text."""
