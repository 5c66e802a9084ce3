"""The command line: commands, options, the graph of the job, and runners."""
