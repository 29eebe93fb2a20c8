//! One API client for the whole agent, whose credential can be changed while it is used.

use std::sync::Arc;

use kube::Client;
use tokio::sync::watch;
use tower::service_fn;

/// What requests go over. Clones are the same one.
#[derive(Clone)]
pub struct Connection(Arc<watch::Sender<Client>>);

impl Connection {
    /// Requests go over `first` until it is replaced.
    pub fn new(first: Client) -> Self {
        Self(Arc::new(watch::Sender::new(first)))
    }

    /// A client that sends each request over the newest client.
    pub fn client(&self) -> Client {
        let newest = self.0.clone();
        let service = service_fn(move |request| {
            let client = newest.borrow().clone();
            async move { client.send(request).await }
        });
        Client::new(service, "default")
    }

    /// From now on requests go over `next`. Answers that are still being read, such as watches, go on; all other connections of
    /// the client before, and its TLS sessions that could be resumed, go with it: nothing is asked with its certificate any more.
    pub fn replace(&self, next: Client) {
        self.0.send_replace(next);
    }
}

#[cfg(test)]
#[path = "connection_tests.rs"]
pub(crate) mod tests;
