"""What surrounds the library: files on disk, the machine, the terminal, the names that other libraries have."""
