//! Portcullis: a mutual-TLS authenticating gate in front of the Kubernetes API.
//!
//! The rooms, in the order in which a request meets them:
//!
//! - [`app`] plugs the parts together; [`cluster`] is one cluster's set of them.
//! - [`config`] turns the YAML file into a checked configuration; [`cli`] holds the commands.
//! - [`listen`] accepts connections and proves possession of the client's key, no more.
//! - [`gateway`] is the pipeline: read it first.
//! - [`request`] reads what is asked; [`identity`] who asks; [`policy`] whether they may; [`limits`] whether there is room.
//! - [`backend`] answers, from [`api`], the built-in Kubernetes API.
//! - [`schema`] knows the types as data; [`store`] keeps the log, one revision and one view.
//! - [`pki`] is a small certificate authority for `up`, the `pki` command and tests.
//! - [`sandbox`] is a server for development: `up` keeps one in a folder, [`testing`] gives one to a Rust test, in milliseconds.
//! - [`status`], [`body`], [`health`] and [`audit`] stand beside the pipeline; [`metrics`], [`live`] and [`shutdown`] are leaves.

pub mod api;
pub mod app;
pub mod audit;
pub mod backend;
pub mod body;
pub mod cli;
pub mod cluster;
pub mod config;
pub mod gateway;
pub mod health;
pub mod identity;
pub mod limits;
pub mod listen;
pub mod live;
pub mod metrics;
pub mod pki;
pub mod policy;
pub mod request;
pub mod sandbox;
pub mod schema;
pub mod shutdown;
pub mod status;
pub mod store;
pub mod testing;
