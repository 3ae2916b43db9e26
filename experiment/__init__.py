"""The vocabulary of an experiment: pure values and the ports that runtimes implement."""

import os

# The column engine gives back what it does not need after a tenth of a second instead of never, which takes a
# sixth off the peak of a million operations. Its allocator reads this when it is loaded, so it stands here.
os.environ.setdefault("_RJEM_MALLOC_CONF", "dirty_decay_ms:100,muzzy_decay_ms:0")
