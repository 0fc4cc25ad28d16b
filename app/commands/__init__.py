"""The command line, one noun a file. Heavy imports stay inside the commands, so that `--help` answers at once."""
