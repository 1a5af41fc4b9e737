//! Training: networks interpreted by burn, losses, and the loop.

pub mod activations;
pub mod batches;
pub mod checkpoint;
pub mod early_stop;
pub mod forward;
pub mod learner;
pub mod loss;
pub mod optimizer;
pub mod parameters;
pub mod recipe;
pub mod stage;
pub mod targets;
pub mod views;
