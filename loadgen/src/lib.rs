//! Load generation and the engine behind the benchmark.
#![forbid(unsafe_code)]
