"""The Hub looks for a file of this name in a release.

The image starts the same worker as `python -m handlers.single`.
"""

import runpy

if __name__ == "__main__":
    runpy.run_module("handlers.single", run_name="__main__")
