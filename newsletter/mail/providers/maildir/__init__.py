"""Mail delivered into a maildir: for the demo, for trials, and for whoever picks it up from there."""
