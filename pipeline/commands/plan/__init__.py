"""The command `plan`."""

import time

# When this package was asked for: what it imports, Beam before all, a run has to import as well.
IMPORT_STARTED = time.monotonic()
