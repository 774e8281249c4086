import os
import sys

# Without bytecode, each of the hundreds of programs that tests start would compile the package, and
# each of several processes of pytest the tests.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
