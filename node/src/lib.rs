//! Joins the stages into a running node.
#![forbid(unsafe_code)]
