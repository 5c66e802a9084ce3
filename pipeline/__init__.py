"""The job: command line, options, graph and engines."""
