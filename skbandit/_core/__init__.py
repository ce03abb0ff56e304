"""The ground: what every other part of the package stands on. It imports nothing of the package."""

import time

#: When the package was imported, in seconds since the epoch: a source file that is newer is not the code that runs.
#: To reload this module reloads no other one: it stays what it was.
IMPORTED: float = globals().get("IMPORTED") or time.time()
