"""The command line: `minigan COMMAND`, what `minigan train` can put together, and the systems it knows by name."""
