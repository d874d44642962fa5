//! Endpoints, ingresses, network policies, and the ranges of addresses: what is refused of them.

mod class;
mod endpoint;
mod ingress;
mod policy;
mod range;
mod slice;

pub(super) use class::{check as check_class, check_change as check_class_change};
pub(super) use endpoint::{check as check_endpoints, warn as warn_endpoints};
pub(super) use ingress::{check as check_ingress, check_status as check_ingress_status};
pub(super) use ingress::{warn as warn_ingress, warn_status as warn_ingress_status};
pub(super) use policy::{check as check_policy, warn as warn_policy};
pub(super) use range::{check as check_range, check_address, check_address_change, check_change as check_range_change};
pub(super) use slice::{check as check_slice, drop_topology, warn as warn_slice};

#[cfg(test)]
mod tests;
