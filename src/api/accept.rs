//! What the client wants to read: media type, transformation, prettiness, compression.

use super::Call;
use crate::status::Status;

/// The negotiated form of an answer.
#[derive(Clone, Debug)]
pub struct Accept {}

impl Accept {
    /// Negotiates for the answer of a verb on a resource. Writes do so before they change anything.
    ///
    /// # Errors
    /// 406 when nothing is acceptable.
    pub fn of(_call: &Call<'_>) -> Result<Self, Status> {
        todo!()
    }
}
