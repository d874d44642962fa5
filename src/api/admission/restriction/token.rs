//! Tokens that a kubelet asks for: of accounts of the pods that run on it, for whom those pods want them.

use serde_json::Value;

use super::{Operation, Visit};
use crate::api::error::{self, Subject, quoted};
use crate::policy::{Ask, Decision};
use crate::request::{Resource, Target};
use crate::status::Status;

impl Visit<'_> {
    pub(super) fn token(&self, wish: &Value) -> Result<(), Status> {
        if self.review.operation != Operation::Create || self.review.subresource != "token" {
            return Ok(());
        }
        let bound = &wish["spec"]["boundObjectRef"];
        let text = |member: &str| bound[member].as_str().unwrap_or("");
        if text("apiVersion") != "v1" || text("kind") != "Pod" || text("name").is_empty() {
            return self.refuse(wish, "node requested token not bound to a pod");
        }
        let uid = text("uid");
        if uid.is_empty() {
            return self.refuse(wish, "node requested token with a pod binding without a uid");
        }
        let missing = || error::not_found(Subject { group: "", what: "pods", name: text("name") });
        let pods = self.api.catalog.find("", "v1", "pods").ok_or_else(missing)?;
        let pod = self.api.seen(pods, self.review.namespace, text("name")).ok_or_else(missing)?;
        if uid != pod.uid() {
            let cause = format!(
                "the UID in the bound object reference ({uid}) does not match the UID in record. The object might have been deleted \
                 and then recreated"
            );
            return self.refuse(wish, cause);
        }
        let pod = pod.value();
        if pod["spec"]["nodeName"] != self.node {
            return self.refuse(wish, "node requested token bound to a pod scheduled on a different node");
        }
        self.audience(wish, &pod)
    }

    /// The one audience stands in a volume of the pod, or the node may ask for it.
    fn audience(&self, wish: &Value, pod: &Value) -> Result<(), Status> {
        let audience = match wish["spec"]["audiences"].as_array().map_or(&[][..], Vec::as_slice) {
            [] => "",
            [one] => one.as_str().unwrap_or(""),
            _ => return self.refuse(wish, "node may only request 0 or 1 audiences"),
        };
        if self.wants(pod, audience) {
            return Ok(());
        }
        let target = Target::Resource(Resource {
            version: "v1".to_owned(),
            resource: audience.to_owned(),
            namespace: self.review.namespace.to_owned(),
            name: self.review.name.to_owned(),
            ..Resource::default()
        });
        let ask = Ask::new("request-serviceaccounts-token-audience", &target);
        if matches!(self.api.asking()?.authorizer.decide_for(self.review.permit, &ask), Decision::Allow { .. }) {
            return Ok(());
        }
        let user = self.review.permit.identity().map_or("", |identity| identity.user());
        let cause = format!(
            "audience {} not found in pod spec volume, {user} is not authorized to request tokens for this audience",
            quoted(audience)
        );
        self.refuse(wish, cause)
    }

    fn wants(&self, pod: &Value, audience: &str) -> bool {
        let volumes = pod["spec"]["volumes"].as_array().into_iter().flatten();
        { volumes }.any(|volume| {
            let sources = volume["projected"]["sources"].as_array().into_iter().flatten();
            let projected = { sources }.any(|source| {
                let token = &source["serviceAccountToken"];
                !token.is_null() && token["audience"].as_str().unwrap_or("") == audience
            });
            projected || self.driver(pod, volume).is_some_and(|driver| self.drives(&driver, audience))
        })
    }

    /// The CSI driver of a volume: named there, or by the persistent volume of its claim.
    fn driver(&self, pod: &Value, volume: &Value) -> Option<String> {
        if let Some(driver) = volume["csi"]["driver"].as_str() {
            return Some(driver.to_owned());
        }
        let claim = match volume["persistentVolumeClaim"]["claimName"].as_str() {
            Some(claim) => claim.to_owned(),
            None if !volume["ephemeral"].is_null() => {
                format!("{}-{}", pod["metadata"]["name"].as_str()?, volume["name"].as_str()?)
            }
            None => return None,
        };
        let find = |plural: &str, namespace: &str, name: &str| {
            Some(self.api.seen(self.api.catalog.find("", "v1", plural)?, namespace, name)?.value())
        };
        let claim = find("persistentvolumeclaims", self.review.namespace, &claim)?;
        let volume = find("persistentvolumes", "", claim["spec"]["volumeName"].as_str()?)?;
        volume["spec"]["csi"]["driver"].as_str().map(str::to_owned)
    }

    /// Whether a driver wants tokens for this audience.
    fn drives(&self, driver: &str, audience: &str) -> bool {
        let kind = self.api.catalog.find("storage.k8s.io", "v1", "csidrivers");
        let driver = kind.and_then(|kind| self.api.seen(kind, "", driver)).map(|driver| driver.value()).unwrap_or_default();
        let wishes = driver["spec"]["tokenRequests"].as_array().into_iter().flatten();
        { wishes }.any(|wish| wish["audience"].as_str().unwrap_or("") == audience)
    }
}
