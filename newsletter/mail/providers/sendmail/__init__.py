"""Mail handed to this machine's own mail system, through its sendmail program."""
