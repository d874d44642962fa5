//! The rules of a projected volume.

use std::collections::HashSet;

use super::source::{check_file, check_item, check_local_path, check_mode, need};
use crate::api::error::FieldError;
use crate::api::kinds::field::{Field, is_full};
use crate::api::kinds::internal;
use crate::api::meta::name;

/// A projected volume: each source, and that no two of them make the same file.
pub(super) fn check(volume: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    check_mode(&volume.at("defaultMode"), errors);
    let mut paths = Paths { volume, taken: HashSet::new() };
    for source in volume.at("sources").items() {
        if is_full(errors) {
            return;
        }
        paths.check_source(&source, errors);
    }
}

/// The paths that sources have taken so far.
struct Paths<'a, 'v, 'p> {
    volume: &'a Field<'v, 'p>,
    taken: HashSet<&'v str>,
}

impl<'v> Paths<'_, 'v, '_> {
    fn check_source(&mut self, source: &Field<'v, '_>, errors: &mut Vec<FieldError>) {
        let mut count = 0;
        for member in ["secret", "configMap", "downwardAPI", "serviceAccountToken", "clusterTrustBundle"] {
            let own = source.at(member);
            if own.is_absent() {
                continue;
            }
            count += 1;
            match member {
                "secret" | "configMap" => self.check_keys(&own, errors),
                "downwardAPI" => self.check_files(&own, errors),
                "serviceAccountToken" => self.check_token(&own, errors),
                _ => self.check_bundle(&own, errors),
            }
        }
        if count > 1 {
            errors.push(source.forbidden("may not specify more than 1 volume type per source"));
        }
    }

    fn check_keys(&mut self, own: &Field<'v, '_>, errors: &mut Vec<FieldError>) {
        need(own, &["name"], errors);
        for item in own.at("items").items() {
            if is_full(errors) {
                return;
            }
            check_item(&item, errors);
            self.take(item.at("path").text(), own.at("name").text(), errors);
        }
    }

    fn check_files(&mut self, own: &Field<'v, '_>, errors: &mut Vec<FieldError>) {
        for file in own.at("items").items() {
            if is_full(errors) {
                return;
            }
            check_file(&file, own, errors);
            let path = file.at("path").text();
            self.take(path, path, errors);
        }
    }

    fn check_token(&mut self, own: &Field<'v, '_>, errors: &mut Vec<FieldError>) {
        let life = own.at("expirationSeconds");
        if life.count() < 600 {
            errors.push(life.invalid("may not specify a duration less than 10 minutes"));
        }
        if life.count() > 1 << 32 {
            errors.push(life.invalid("may not specify a duration larger than 2^32 seconds"));
        }
        // kube-apiserver tells the path at the volume.
        let (path, told) = (own.at("path"), self.volume.at("path"));
        if path.is_empty() {
            errors.push(told.required(""));
        } else {
            check_local_path(&told, path.text(), errors);
        }
    }

    fn check_bundle(&mut self, own: &Field<'v, '_>, errors: &mut Vec<FieldError>) {
        let (title, signer) = (own.at("name"), own.at("signerName"));
        match (title.is_absent(), signer.is_absent()) {
            (false, false) => {
                let printed = internal::print("ClusterTrustBundleProjection", own.value());
                errors.push(own.invalid_as(&printed, "only one of name and signerName may be used"));
            }
            (false, true) => {
                if title.is_empty() {
                    errors.push(title.required("must be a valid object name"));
                }
                let fault = |fault: &String| title.invalid(&format!("not a valid clustertrustbundlename: {fault}"));
                errors.extend(name::subdomain(title.text()).iter().map(fault));
                if !own.at("labelSelector").is_absent() {
                    errors.push(own.at("labelSelector").invalid("labelSelector must be unset if name is specified"));
                }
            }
            (true, false) => {
                if signer.is_empty() {
                    errors.push(signer.required("must be a valid signer name"));
                }
                own.at("labelSelector").selector(errors);
            }
            (true, true) => errors.push(own.required("either name or signerName must be specified")),
        }
        need(own, &["path"], errors);
        let path = own.at("path");
        check_local_path(&path, path.text(), errors);
        self.take(path.text(), path.text(), errors);
    }

    /// Takes a path; one that is taken already is told as `owner`.
    fn take(&mut self, path: &'v str, owner: &str, errors: &mut Vec<FieldError>) {
        if !path.is_empty() && !self.taken.insert(path) {
            errors.push(self.volume.invalid_text(owner, "conflicting duplicate paths"));
        }
    }
}
