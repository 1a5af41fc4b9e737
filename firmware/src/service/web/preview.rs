//! The picture that viewers see: made when somebody looks, once for all who look.

use std::sync::Arc;

use axum::body::Bytes;
use graphtag_runtime::stream::Observation;
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;

use crate::service::picture;

/// Larger pictures are made smaller.
const LARGEST_SIDE: u32 = 1280;

/// The JPEG of the observation that was last asked for.
#[derive(Default)]
pub struct Preview {
    last: Mutex<Option<(u64, Bytes)>>,
}

impl Preview {
    /// The picture of `observation` as JPEG; `None` when it has none, or none that can be shown.
    pub async fn of(&self, observation: &Arc<Observation>) -> Option<Bytes> {
        let frame = observation.frame.clone()?;
        if observation.problem.is_some() {
            return None;
        }
        let mut last = self.last.lock().await;
        if let Some((number, jpeg)) = &*last
            && *number == observation.number
        {
            return Some(jpeg.clone());
        }
        let size = observation.size;
        let jpeg = spawn_blocking(move || picture::jpeg(&frame, size, LARGEST_SIDE));
        let jpeg: Bytes = jpeg.await.ok()??.into();
        *last = Some((observation.number, jpeg.clone()));
        Some(jpeg)
    }
}
