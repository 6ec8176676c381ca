"""The door for a process, or a thread, that sends what is due as soon as it is due."""
