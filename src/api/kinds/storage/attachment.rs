//! VolumeAttachments.

use serde_json::Value;

use super::{source, volume};
use crate::api::error::FieldError;
use crate::api::kinds::field::Field;
use crate::api::kinds::format;
use crate::api::meta::name;

type Errors = Vec<FieldError>;

/// The faults of an attachment.
pub(in crate::api::kinds) fn check(new: &Value, old: Option<&Value>, errors: &mut Errors) {
    let root = Field::new(new, "");
    let (spec, status) = (root.at("spec"), root.at("status"));
    spec.at("attacher").require(errors);
    check_source(&spec.at("source"), errors);
    spec.at("nodeName").formed(name::subdomain, errors);
    let told = status.at("attachmentMetadata");
    let size: usize = told.entries().map(|(key, value)| key.len() + value.text().len()).sum();
    if size > METADATA {
        errors.push(FieldError::too_long(told.to_string(), METADATA));
    }
    check_error(&status.at("attachError"), errors);
    check_error(&status.at("detachError"), errors);
    if old.is_none() {
        check_new(&spec, errors);
    }
}

/// The faults of a change.
pub(in crate::api::kinds) fn check_change(new: &Value, old: &Value, errors: &mut Errors) {
    let root = Field::new(new, "");
    format::fixed_as(&root.at("spec"), "VolumeAttachmentSpec", &old["spec"], errors);
}

fn check_source(source: &Field<'_, '_>, errors: &mut Errors) {
    let (inline, own) = (source.at("inlineVolumeSpec"), source.at("persistentVolumeName"));
    let one = "must specify exactly one of inlineVolumeSpec and persistentVolumeName";
    match (inline.is_absent(), own.is_absent()) {
        (true, true) => errors.push(source.required(one)),
        (false, false) => errors.push(source.forbidden(one)),
        (true, false) if own.text().is_empty() => {
            errors.push(own.required("must specify non empty persistentVolumeName"));
        }
        (true, false) => {}
        (false, true) => volume::check_inline(&inline, errors),
    }
}

/// What was not asked of attachments of the first version.
fn check_new(spec: &Field<'_, '_>, errors: &mut Errors) {
    source::check_driver(&spec.at("attacher"), errors);
    let source = spec.at("source");
    let own = source.at("persistentVolumeName");
    if !own.is_absent() {
        own.formed(name::subdomain, errors);
    }
}

fn check_error(field: &Field<'_, '_>, errors: &mut Errors) {
    let (message, code) = (field.at("message"), field.at("errorCode"));
    if message.text().len() > MESSAGE {
        errors.push(FieldError::too_long(message.to_string(), METADATA));
    }
    if code.number().is_some_and(|code| code < 0) {
        errors.push(code.invalid("must be between 0 and 2147483647, inclusive"));
    }
}

const METADATA: usize = 256 * 1024;
const MESSAGE: usize = 1024;
