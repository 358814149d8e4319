//! Metrics and statistics: ranks, protocols, intervals. Does no I/O.
