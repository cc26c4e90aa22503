"""The commands: flags, run folders and logs around the library; no public names."""
