//! What keeps the node from being one.

use krustlet_api::patience::Answered;

/// Why there is no Node, or what is said of it cannot be said.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The machine cannot be the node that the flags ask for: a line for each fault.
    #[error("{}", .0.join("\n"))]
    Unfit(Vec<String>),
    /// There is no Node, and none can be made.
    #[error("cannot register the node")]
    Register(#[source] kube::Error),
    /// There is one of that name.
    #[error("cannot take over the Node that exists already")]
    TakeOver(#[source] kube::Error),
    /// The Node's Lease cannot be had.
    #[error("cannot take the node's Lease")]
    Lease(#[source] Box<NodeError>),
    /// Anything else that the API server has refused, or was not to be reached for.
    #[error(transparent)]
    Api(#[from] kube::Error),
    /// No answer.
    #[error("the API server did not answer in time")]
    Silent,
}

impl Answered for NodeError {
    fn answer(&self) -> Option<&kube::Error> {
        match self {
            Self::Register(error) | Self::TakeOver(error) | Self::Api(error) => Some(error),
            Self::Lease(error) => error.answer(),
            Self::Unfit(_) | Self::Silent => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use krustlet_api::patience::persist;
    use krustlet_core::errors::chain;
    use kube::core::Status;
    use tokio::time::timeout;

    fn leased(error: NodeError) -> NodeError {
        NodeError::Lease(error.into())
    }

    #[tokio::test]
    async fn a_refusal_behind_it_is_not_asked_for_again() {
        let refusal = || kube::Error::Api(Status { code: 422, ..Status::failure("no", "Invalid") }.boxed());
        let mut attempts = 0;
        let attempt = async || {
            attempts += 1;
            Err::<(), _>(leased(NodeError::Register(refusal())))
        };
        let asked = timeout(Duration::from_secs(10), persist("try", attempt)).await;
        assert!(matches!(asked, Ok(Err(NodeError::Lease(_)))), "{asked:?}");
        assert_eq!(attempts, 1);
    }

    #[test]
    fn what_the_api_server_said_is_found_behind_it() {
        let said = || kube::Error::TlsRequired;
        for error in [NodeError::Register(said()), leased(NodeError::Api(said())), leased(NodeError::TakeOver(said()))]
        {
            assert!(matches!(error.answer(), Some(kube::Error::TlsRequired)), "{error:?}");
        }
        assert!(leased(NodeError::Silent).answer().is_none());
        let told = chain(&leased(NodeError::Api(said())));
        assert_eq!(told, format!("cannot take the node's Lease: {}", said()));
    }
}
