//! What every log promises, while a second writer changes keys of nobody.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use portcullis::store::conformance;

use super::ground::Place;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn etcd_keeps_what_every_log_promises() {
    let place = Place::start();
    let stop = Arc::new(AtomicBool::new(false));
    let foreign = tokio::spawn(disturb(place.other().await, stop.clone()));
    conformance::all(&place).await;
    stop.store(true, Ordering::Relaxed);
    assert!(foreign.await.unwrap() > 100, "the other writer hardly wrote");
}

/// Puts, deletes and expires foreign keys, several at a time; how often.
async fn disturb(mut client: etcd_client::Client, stop: Arc<AtomicBool>) -> u64 {
    use etcd_client::{Txn, TxnOp};
    for round in 0_u64.. {
        if stop.load(Ordering::Relaxed) {
            return round;
        }
        let (one, two) = (format!("/foreign/{}", round % 7), format!("/registryforeign/{}", round % 3));
        let both = match round % 3 {
            0 => vec![TxnOp::put(one, vec![0; 100], None), TxnOp::put(two, "x", None)],
            1 => vec![TxnOp::put(two, round.to_string(), None)],
            _ => vec![TxnOp::delete(one, None), TxnOp::delete(two, None)],
        };
        client.txn(Txn::new().and_then(both)).await.expect("etcd answers");
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    0
}
