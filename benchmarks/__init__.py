"""What this program makes of a machine, beside other ways to the same rows. See README.md."""
