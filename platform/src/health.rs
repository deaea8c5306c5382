//! What a process knows of itself, for its control plane and for `up`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use time::OffsetDateTime;

/// Shared by a service's parts.
#[derive(Clone, Debug)]
pub struct Health {
    started_at: OffsetDateTime,
    ready: Arc<AtomicBool>,
}

impl Health {
    /// Of a process that starts now and isn't ready yet.
    pub fn starting() -> Self {
        Self { started_at: crate::clock::now(), ready: Arc::new(AtomicBool::new(false)) }
    }

    /// Since when it runs.
    pub fn started_at(&self) -> OffsetDateTime {
        self.started_at
    }

    /// Whether it can do its work.
    pub fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Relaxed)
    }

    /// Says whether it can.
    pub fn set_ready(&self, ready: bool) {
        self.ready.store(ready, Ordering::Relaxed);
    }
}
