//! Tokens of service accounts (contract 5.6).

use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::api::accept::Accept;
use crate::api::admission::{self, Operation, Review};
use crate::api::create::{refuse_faults, validation};
use crate::api::decode::{self, Expected};
use crate::api::error::{self, FieldError, Subject};
use crate::api::object::Object;
use crate::api::review::Tokens;
use crate::api::route::Route;
use crate::api::{Api, Call, answer, meta, refusal, warning};
use crate::body::Response;
use crate::identity::{Grant, Named};
use crate::policy::Permit;
use crate::request::{CreateOptions, Query};
use crate::schema::Schema;
use crate::status::Status;

/// `POST .../serviceaccounts/NAME/token`
pub(super) async fn serve(api: &Api, call: Call<'_>) -> Result<Response, Status> {
    let accept = Accept::of(&call)?;
    let Call { permit, route, request } = call;
    let options = CreateOptions::parse(&Query::parse(request.uri().query().unwrap_or("")));
    refuse_faults("CreateOptions", &options.faults())?;
    let encoding = decode::encoding(request.headers())?;
    let body = decode::whole(request.into_body()).await?;
    let schema = Schema::builtin(GROUP, "v1", KIND).ok_or_else(refusal::no_route)?;
    let mut warnings = Vec::new();
    let expected = Expected { gvk: (GROUP, "v1", KIND), schema: &schema };
    let wish = decode::object(expected, &body, encoding, (validation(&options), &mut warnings))?;
    let desk = Desk { api, permit, route: &route, dry_run: options.is_dry_run() };
    let outcome = desk.give(wish.clone(), &mut warnings).await;
    let mut given = match outcome {
        Ok(given) => given,
        // What is not there may only not be seen yet.
        Err(_) => {
            api.store.latest().await.map_err(|cause| refusal::store(&cause))?;
            warnings.clear();
            desk.give(wish, &mut warnings).await?
        }
    };
    schema.normalise(&mut given);
    Ok(warning::attach(answer::value(&route.kind, &accept, StatusCode::CREATED, &given)?, &warnings))
}

/// Where tokens are given.
struct Desk<'a> {
    api: &'a Api,
    permit: &'a Permit,
    route: &'a Route,
    dry_run: bool,
}

/// What a token is bound to.
#[derive(Default)]
struct Bound {
    pod: Option<Named>,
    secret: Option<Named>,
    node: Option<Named>,
}

impl Desk<'_> {
    async fn give(&self, mut wish: Value, warnings: &mut Vec<String>) -> Result<Value, Status> {
        let tokens = self.api.asking()?.tokens.load();
        let tokens = Option::as_ref(&tokens).ok_or_else(|| Status::internal("this server signs no tokens"))?;
        let (namespace, name) = (self.route.namespace.as_str(), self.route.name.as_str());
        // Before anything is filled in: what a kubelet asks for counts.
        admission::mutate(self.api, &self.review(), &mut wish).await?;
        self.match_names(&wish)?;
        let account = self.find("serviceaccounts", namespace, name)?;
        let uid = meta::text(&wish, "uid");
        if !uid.is_empty() && uid != account.uid() {
            let cause =
                format!("the UID in the token request ({uid}) does not match the UID of the service account ({})", account.uid());
            return Err(error::conflict(Subject { group: GROUP, what: KIND, name }, cause));
        }
        let now = Timestamp::now();
        fill(&mut wish, tokens, (&account, now));
        check(&wish)?;
        admission::validate(self.api, &self.review(), Some(&wish), warnings).await?;
        let bound = self.bound(&wish["spec"]["boundObjectRef"])?;
        let spec = &mut wish["spec"];
        let mut lifetime = spec["expirationSeconds"].as_u64().unwrap_or(HOUR);
        if let Some(longest) = tokens.longest.filter(|longest| lifetime > *longest) {
            warnings.push(format!("requested expiration of {lifetime} seconds shortened to {longest} seconds"));
            lifetime = longest;
            spec["expirationSeconds"] = Value::from(longest);
        }
        let audiences = texts(&spec["audiences"]);
        let ours = audiences.iter().all(|audience| tokens.audiences.contains(audience));
        let extended = tokens.extended && bound.pod.is_some() && lifetime == WARNED && ours;
        let grant = Grant {
            namespace: namespace.to_owned(),
            account: Named { name: name.to_owned(), uid: account.uid().to_owned() },
            audiences,
            issued: u64::try_from(now.as_second()).unwrap_or(0),
            lifetime: if extended { YEAR } else { lifetime },
            warn_after: extended.then_some(lifetime),
            pod: bound.pod,
            secret: bound.secret,
            node: bound.node,
        };
        let token = tokens.signer.sign(&grant).map_err(Status::internal)?;
        let end = now.checked_add(SignedDuration::from_secs(i64::try_from(lifetime).unwrap_or(i64::MAX))).unwrap_or(now);
        wish["status"] = json!({"token": token, "expirationTimestamp": meta::time(end)});
        Ok(wish)
    }

    /// A name in the body must be the URL's.
    fn match_names(&self, wish: &Value) -> Result<(), Status> {
        let route = self.route;
        for (member, wanted, word) in [("name", &route.name, "name"), ("namespace", &route.namespace, "namespace")] {
            let own = meta::text(wish, member);
            if !own.is_empty() && own != wanted {
                let fault = format!("must match the service account {word} if specified");
                let subject = Subject { group: GROUP, what: KIND, name: &route.name };
                return Err(error::invalid(subject, &[FieldError::invalid_text(format!("metadata.{member}"), own, &fault)]));
            }
        }
        Ok(())
    }

    fn review(&self) -> Review<'_> {
        Review {
            permit: self.permit,
            kind: &self.route.kind,
            subresource: "token",
            operation: Operation::Create,
            namespace: &self.route.namespace,
            name: &self.route.name,
            old: None,
            dry_run: self.dry_run,
        }
    }

    /// What the token is to be bound to; it exists, and it is the one that is meant.
    fn bound(&self, reference: &Value) -> Result<Bound, Status> {
        if reference.is_null() {
            return Ok(Bound::default());
        }
        let text = |member: &str| reference[member].as_str().unwrap_or("");
        let (kind, name, version) = (text("kind"), text("name"), text("apiVersion"));
        let mut bound = Bound::default();
        let group = version.rsplit_once('/').map_or("", |(group, _)| group);
        let object = match (group, kind) {
            ("", "Pod") => {
                let object = self.find("pods", &self.route.namespace, name)?;
                let pod = object.value();
                if pod["spec"]["serviceAccountName"] != self.route.name.as_str() {
                    let account = error::quoted(&self.route.name);
                    return Err(Status::bad_request(format!(
                        "cannot bind token for serviceaccount {account} to pod running with different serviceaccount name."
                    )));
                }
                bound.node = pod["spec"]["nodeName"].as_str().filter(|node| !node.is_empty()).map(|node| {
                    let uid = self.find("nodes", "", node).map(|node| node.uid().to_owned()).unwrap_or_default();
                    Named { name: node.to_owned(), uid }
                });
                bound.pod = Some(named(&object));
                object
            }
            ("", "Node") => {
                let object = self.find("nodes", "", name)?;
                bound.node = Some(named(&object));
                object
            }
            ("", "Secret") => {
                let object = self.find("secrets", &self.route.namespace, name)?;
                bound.secret = Some(named(&object));
                object
            }
            _ => {
                let version = version.rsplit('/').next().unwrap_or("");
                return Err(Status::bad_request(format!("cannot bind token to object of type {group}/{version}, Kind={kind}")));
            }
        };
        let wanted = text("uid");
        if !wanted.is_empty() && wanted != object.uid() {
            let cause = format!(
                "the UID in the bound object reference ({wanted}) does not match the UID in record. The object might have been \
                 deleted and then recreated"
            );
            return Err(error::conflict(Subject { group, what: kind, name }, cause));
        }
        Ok(bound)
    }

    fn find(&self, plural: &str, namespace: &str, name: &str) -> Result<std::sync::Arc<Object>, Status> {
        let kind = self.api.catalog.find("", "v1", plural).ok_or_else(refusal::no_route)?;
        self.api.seen(kind, namespace, name).ok_or_else(|| error::not_found(Subject::resource(kind, name)))
    }
}

/// What the request leaves to the server.
fn fill(wish: &mut Value, tokens: &Tokens, (account, now): (&Object, Timestamp)) {
    let (spec, uid) = (wish["spec"].take(), account.uid().to_owned());
    wish["metadata"] =
        json!({"name": account.name(), "namespace": account.namespace(), "uid": uid, "creationTimestamp": meta::time(now)});
    wish["spec"] = if spec.is_object() { spec } else { json!({}) };
    if texts(&wish["spec"]["audiences"]).is_empty() {
        wish["spec"]["audiences"] = json!(tokens.audiences);
    }
    if !wish["spec"]["expirationSeconds"].is_number() {
        wish["spec"]["expirationSeconds"] = Value::from(HOUR);
    }
}

fn check(wish: &Value) -> Result<(), Status> {
    let asked = &wish["spec"]["expirationSeconds"];
    let fault = match asked.as_i64() {
        Some(seconds) if seconds < SHORTEST => "may not specify a duration less than 10 minutes",
        Some(seconds) if seconds > 1 << 32 => "may not specify a duration larger than 2^32 seconds",
        _ => return Ok(()),
    };
    let subject = Subject { group: GROUP, what: KIND, name: "" };
    Err(error::invalid(subject, &[FieldError::invalid("spec.expirationSeconds", asked, fault)]))
}

fn named(object: &Object) -> Named {
    Named { name: object.name().to_owned(), uid: object.uid().to_owned() }
}

fn texts(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().filter_map(|item| item.as_str().map(str::to_owned)).collect()
}

const GROUP: &str = "authentication.k8s.io";
const KIND: &str = "TokenRequest";
const HOUR: u64 = 3600;
const SHORTEST: i64 = 600;

/// The life that kubelets ask for where a pod wants the usual token.
const WARNED: u64 = 3607;
const YEAR: u64 = 365 * 24 * 3600;
