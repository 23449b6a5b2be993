// Asio's own sources, compiled once: ASIO_SEPARATE_COMPILATION is set for every user of asio_dep.

// First, for the macros of the C library: without them Asio's configuration misses what it may use.
#include <cstdlib>

// After the above.
#include <asio/impl/src.hpp>
#include <asio/ssl/impl/src.hpp>
