//! Volumes and their claims, classes, attachments and drivers: what is filled in, what is refused of them.

mod attachment;
mod claim;
mod class;
mod driver;
mod selector;
mod source;
mod volume;

pub(super) use attachment::{check as check_attachment, check_change as check_attachment_change};
pub(super) use claim::{check as check_claim, check_change as check_claim_change, check_status as check_claim_status};
pub(super) use claim::{prepare as prepare_claim, warn as warn_claim};
pub(super) use class::{check as check_class, check_change as check_class_change, warn as warn_class};
pub(super) use class::{check_attributes, check_attributes_change};
pub(super) use driver::{check as check_driver, check_change as check_driver_change, prepare as prepare_driver};
pub(super) use driver::{check_capacity, check_capacity_change, check_node, check_node_change};
pub(super) use volume::{check as check_volume, check_change as check_volume_change};
pub(super) use volume::{prepare_create as prepare_volume, stamp_phase, warn as warn_volume};

#[cfg(test)]
mod tests;
