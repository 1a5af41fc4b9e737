//! The service around a stream: what it knows and how it says it.

pub mod live;
pub mod report;
