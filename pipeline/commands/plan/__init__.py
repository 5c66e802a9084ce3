"""The command `plan`."""

import time

# The start of the command's imports, above all of Beam, which a run needs, too.
IMPORT_STARTED = time.monotonic()
