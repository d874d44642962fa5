//! A line to etcd that can be cut.

use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Passes bytes on, while it is not cut.
pub struct Relay {
    address: SocketAddr,
    open: watch::Sender<bool>,
}

impl Relay {
    /// To a URL like `https://127.0.0.1:2379`.
    pub async fn to(endpoint: &str) -> Self {
        let target: SocketAddr = endpoint.rsplit('/').next().unwrap().parse().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let open = watch::Sender::new(true);
        let state = open.subscribe();
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                tokio::spawn(pass(near, target, state.clone()));
            }
        });
        Self { address, open }
    }

    pub fn endpoint(&self) -> String {
        format!("https://{}", self.address)
    }

    pub fn cut(&self) {
        self.open.send_replace(false);
    }

    pub fn mend(&self) {
        self.open.send_replace(true);
    }
}

async fn pass(mut near: TcpStream, target: SocketAddr, mut open: watch::Receiver<bool>) {
    if !*open.borrow() {
        return;
    }
    let Ok(mut far) = TcpStream::connect(target).await else { return };
    tokio::select! {
        _ = open.wait_for(|open| !open) => {}
        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
    }
}
