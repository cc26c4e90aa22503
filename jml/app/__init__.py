"""The commands: flags, run folders and logs around the library. Nothing here is API."""
