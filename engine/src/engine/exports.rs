//! The sealed copy of the catalog in the repositories.

use super::Engine;

impl Engine {
    /// Writes the catalog into the repositories whenever it has changed, until the stop.
    pub(super) async fn keep_exports(self) {
        loop {
            tokio::select! {
                () = self.0.stopping.cancelled() => return,
                () = self.0.export.notified() => {}
            }
        }
    }
}
