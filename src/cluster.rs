//! One cluster: whom it believes, what it permits, how much it takes, who answers.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use tokio::sync::watch;

use crate::api::object::Object;
use crate::backend::Backend;
use crate::identity::{self, Identity, Resolver};
use crate::limits::Limits;
use crate::live::Live;
use crate::policy::{self, Authorizer, Ceilings, Reach};
use crate::request::{Attributes, Target, Verb};
use crate::status::{Details, Status};
use crate::store::Store;

/// Rights that hang on the view are refused once it has not been proven fresh for so long.
const STALE: Duration = Duration::from_secs(60);

/// The parts of one cluster.
pub struct Cluster {
    /// Who asks.
    pub resolver: Arc<Resolver>,
    /// Whether they may.
    pub authorizer: Arc<Authorizer>,
    /// Whether there is room.
    pub limits: Arc<Limits>,
    /// Who answers.
    pub backend: Backend,
    /// The store under the built-in backend.
    pub store: Arc<Store<Object>>,
    /// What tokens' lives hang on.
    pub accounts: Arc<Live<identity::Facts>>,
    /// How far the server's own objects have come.
    pub boot: watch::Receiver<Boot>,
}

/// How far the server's own objects have come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Boot {
    /// Not yet.
    Pending,
    /// All are there.
    Done,
    /// They cannot be made.
    Failed(String),
}

/// Everything that decisions hang on, as it was at one moment. Two are equal when nothing was replaced in between.
pub struct Standing {
    trust: u64,
    ceilings: Arc<Ceilings>,
    rights: Arc<policy::Facts>,
    accounts: Arc<identity::Facts>,
}

impl PartialEq for Standing {
    fn eq(&self, other: &Self) -> bool {
        self.trust == other.trust
            && Arc::ptr_eq(&self.ceilings, &other.ceilings)
            && Arc::ptr_eq(&self.rights, &other.rights)
            && Arc::ptr_eq(&self.accounts, &other.accounts)
    }
}

impl Cluster {
    /// What decisions hang on now.
    pub fn standing(&self) -> Standing {
        Standing {
            trust: self.resolver.generation(),
            ceilings: self.authorizer.ceilings.load(),
            rights: self.authorizer.facts.load(),
            accounts: self.accounts.load(),
        }
    }

    /// Waits until the server's own objects are there.
    ///
    /// # Errors
    /// Why they cannot be made.
    pub async fn booted(&self) -> Result<(), String> {
        let mut boot = self.boot.clone();
        let ended = boot.wait_for(|boot| *boot != Boot::Pending).await;
        match ended.as_deref() {
            Ok(Boot::Done) => Ok(()),
            Ok(Boot::Failed(why)) => Err(why.clone()),
            _ => Err("the server was stopped".to_owned()),
        }
    }

    /// Waits until rights and lives are those of everything acknowledged before the call, by any replica: before somebody is refused for
    /// what this replica may only not have seen yet. False when that cannot be told.
    pub async fn caught_up(&self) -> bool {
        match self.store.latest().await {
            Ok(revision) => self.store.followed(revision).await.is_ok(),
            Err(_) => false,
        }
    }

    /// What a request can do besides what its method says: an apply creates, and so does a PUT of some kinds.
    pub fn reach(&self, attributes: &Attributes, content_type: &str) -> Reach {
        let Target::Resource(asked) = &attributes.target else { return Reach::AsAsked };
        if !asked.subresource.is_empty() {
            return Reach::AsAsked;
        }
        let creates = match attributes.verb {
            Verb::Patch => content_type.trim_start().starts_with("application/apply-patch"),
            Verb::Update => self.backend.creates_on_update(asked),
            _ => false,
        };
        if creates { Reach::MayCreate } else { Reach::AsAsked }
    }

    /// Refuses where rights come from a view that nobody has vouched for in a minute. Those of `system:masters` do not.
    ///
    /// # Errors
    /// 503.
    pub fn current(&self, identity: &Identity, attributes: &Attributes) -> Result<(), Status> {
        let depends = matches!(attributes.target, Target::Resource(_)) && !identity.is_in("system:masters");
        if !depends || self.store.proven_fresh() < STALE {
            return Ok(());
        }
        let details = Details { retry_after_seconds: 5, ..Details::default() };
        let message = "the store has not answered for a minute: rights cannot be decided";
        Err(Status::new(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable", message).with_details(details))
    }
}
