//! The service around a stream: what it is told, what it knows, how it says it, and its life.

pub mod display;
pub mod life;
pub mod lines;
pub mod live;
pub mod mqtt;
pub mod picture;
pub mod report;
pub mod settings;
pub mod sinks;
pub mod snapshots;
pub mod web;
pub mod webhook;
