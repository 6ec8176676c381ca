"""The demo: the main job told as a story through the doors, and checked on the mails read back."""
