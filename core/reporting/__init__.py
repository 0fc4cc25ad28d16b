"""Reports of studies: what is recorded put beside what reporting guidelines ask, as a page and as tables."""
