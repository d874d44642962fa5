//! The health listener: `/livez`, `/readyz`, `/healthz` and `/metrics` in plain HTTP, on an address of its own.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};

use crate::body::Body;
use crate::gateway::metrics_page;
use crate::health::{self, Check};
use crate::metrics::Metrics;
use crate::shutdown::Shutdown;
use crate::status::Plain;

/// How long a request's head may take, and a connection may idle.
const HEAD: Duration = Duration::from_secs(30);
/// Open connections; probes and scrapers need few.
const CONNECTIONS: usize = 256;

/// Serves until the shutdown.
pub async fn serve(listener: TcpListener, (checks, metrics): (Arc<[Check]>, Arc<Metrics>), shutdown: Shutdown) {
    let places = Arc::new(tokio::sync::Semaphore::new(CONNECTIONS));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let accepted = tokio::select! {
            () = shutdown.begun() => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let (checks, metrics, end) = (checks.clone(), metrics.clone(), shutdown.clone());
        shutdown.spawn(async move {
            tokio::select! {
                () = connection(stream, &checks, &metrics) => {}
                () = end.begun() => {}
            }
            drop(place);
        });
    }
}

async fn connection(stream: TcpStream, checks: &Arc<[Check]>, metrics: &Arc<Metrics>) {
    let service = service_fn(|request: Request<Incoming>| async move { Ok::<_, Infallible>(answer(&request, checks, metrics)) });
    let served =
        http1::Builder::new().timer(TokioTimer::new()).header_read_timeout(HEAD).serve_connection(TokioIo::new(stream), service);
    if let Err(error) = served.await {
        tracing::debug!(%error, "a connection of the health listener ended");
    }
}

fn answer(request: &Request<Incoming>, checks: &[Check], metrics: &Metrics) -> Response<Body> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Plain::new(StatusCode::METHOD_NOT_ALLOWED, "only GET is answered here").answer();
    }
    let (path, query) = (request.uri().path(), request.uri().query().unwrap_or_default());
    if path == "/metrics" {
        return metrics_page(metrics);
    }
    health::answer(path, query, (checks, metrics))
        .unwrap_or_else(|| Plain::new(StatusCode::NOT_FOUND, "404 page not found").answer())
}
