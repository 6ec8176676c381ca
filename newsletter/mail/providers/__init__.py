"""One folder for each way to send mail; all behind the same port."""
