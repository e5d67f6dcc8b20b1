"""The settings of a site that is never loaded: it waits for something."""

import time

time.sleep(600)
