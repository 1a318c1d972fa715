//! A rebuild: the catalog from the repository alone.

use super::Engine;
use crate::error::{Error, Result};
use crate::monitor::Task;
use crate::runs::{Credentials, Finish};

#[allow(clippy::unused_async)]
impl Engine {
    pub(super) async fn do_rebuild(&self, _: Credentials, _: &Task) -> Result<Finish> {
        Err(Error::internal("This operation is not built yet"))
    }
}
