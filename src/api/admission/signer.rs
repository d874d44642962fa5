//! CertificateApproval, CertificateSigning and CertificateSubjectRestriction: who may approve and sign for whom.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::{Operation, Review};
use crate::api::Api;
use crate::api::error::quoted;
use crate::api::kinds::is_empty;
use crate::identity::{self, Requested};
use crate::policy::{Ask, Decision};
use crate::request::{Resource, Target};
use crate::status::Status;

pub(super) fn check(api: &Api, review: &Review<'_>, object: Option<&Value>) -> Result<(), Status> {
    if (review.kind.group.as_str(), review.kind.plural.as_str()) != (GROUP, "certificatesigningrequests") {
        return Ok(());
    }
    let (Some(new), old) = (object, review.old.unwrap_or(&Value::Null)) else { return Ok(()) };
    match (review.operation, review.subresource) {
        (Operation::Create, "") => check_subject(review, new),
        // The stored request counts: the one that comes may name another signer.
        (Operation::Update, "approval") => check_right(api, review, ("approve", old)),
        (Operation::Update, "status") => {
            let same = |member: &str| {
                let (new, old) = (&new["status"][member], &old["status"][member]);
                new == old || is_empty(new) && is_empty(old)
            };
            if same("certificate") && same("conditions") { Ok(()) } else { check_right(api, review, ("sign", old)) }
        }
        _ => Ok(()),
    }
}

/// What a signing request asks for; `None` when it cannot be read.
pub(super) fn requested(object: &Value) -> Option<Requested> {
    identity::requested(&STANDARD.decode(object["spec"]["request"].as_str()?).ok()?)
}

fn check_subject(review: &Review<'_>, new: &Value) -> Result<(), Status> {
    if new["spec"]["signerName"] != CLIENT {
        return Ok(());
    }
    let Some(requested) = requested(new) else { return Err(review.forbid(new, "failed to parse CSR")) };
    if requested.organizations.iter().any(|group| group == "system:masters") {
        return Err(review.forbid(new, format!("use of {CLIENT} signer with system:masters group is not allowed")));
    }
    Ok(())
}

fn check_right(api: &Api, review: &Review<'_>, (verb, request): (&str, &Value)) -> Result<(), Status> {
    let signer = request["spec"]["signerName"].as_str().unwrap_or("");
    let any = signer.split_once('/').map(|(domain, _)| format!("{domain}/*"));
    for name in std::iter::once(signer).chain(any.as_deref()) {
        let target = Target::Resource(Resource {
            group: GROUP.to_owned(),
            version: "*".to_owned(),
            resource: "signers".to_owned(),
            name: name.to_owned(),
            ..Resource::default()
        });
        if review.permit.caller().is_none() {
            return Ok(());
        }
        if matches!(api.asking()?.authorizer.decide_for(review.permit, &Ask::new(verb, &target)), Decision::Allow { .. }) {
            return Ok(());
        }
    }
    Err(review.forbid(request, format!("user not permitted to {verb} requests with signerName {}", quoted(signer))))
}

const GROUP: &str = "certificates.k8s.io";
const CLIENT: &str = "kubernetes.io/kube-apiserver-client";
