"""`python -m tests.relay.simulation --help`"""

import sys

from tests.relay.simulation.run import main

if __name__ == "__main__":
    sys.exit(main())
