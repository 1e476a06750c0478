"""What surrounds the library: files on disk, the machine it runs on, the terminal it speaks to."""
