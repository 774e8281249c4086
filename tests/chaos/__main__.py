"""`python -m tests.chaos --help`"""

import sys

from tests.chaos.many import main

if __name__ == "__main__":
    sys.exit(main())
