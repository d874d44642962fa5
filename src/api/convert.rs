//! Between the versions of one resource: the stored form and the served one.

use serde_json::Value;

/// Group, version and kind.
pub type Gvk<'a> = (&'a str, &'a str, &'a str);

/// Turns an object of one version into another.
///
/// # Errors
/// When there is no way from one to the other.
pub fn convert(from: Gvk<'_>, to: Gvk<'_>, _value: &mut Value) -> Result<(), String> {
    if from == to {
        return Ok(());
    }
    Err(format!("{}/{} {} cannot be read as {}/{} {}", from.0, from.1, from.2, to.0, to.1, to.2))
}
