"""SQL tables and queries: the only package that knows tables."""
