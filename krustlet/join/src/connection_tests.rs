use futures::{AsyncBufReadExt, StreamExt};
use serde_json::json;

use super::*;
use crate::kubeconfig::Access;
use crate::testing::api::ApiServer;

/// With a certificate of its own.
pub(crate) fn access(api: &ApiServer, name: &str) -> Access {
    let encoded = |text: &str| serde_json::to_value(k8s_openapi::ByteString(text.as_bytes().to_vec())).unwrap();
    let user = json!({
        "client-certificate-data": encoded(&api.ca.client(name, 1000)), "client-key-data": encoded(&api.ca.leaf_key_pem),
    });
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), api.kubeconfig(&user)).unwrap();
    Access::read(file.path()).unwrap().unwrap()
}

pub(crate) async fn client(api: &ApiServer, name: &str) -> Client {
    crate::client(&access(api, name)).await.unwrap()
}

pub(crate) fn get(path: &str) -> axum::http::Request<Vec<u8>> {
    axum::http::Request::get(path).body(Vec::new()).unwrap()
}

#[tokio::test]
async fn each_request_goes_with_the_newest_certificate_and_open_answers_go_on() {
    let root = tempfile::tempdir().unwrap();
    let api = ApiServer::start(root.path(), 1000).await;
    let connection = Connection::new(client(&api, "first").await);
    let (one, other) = (connection.client(), connection.client());
    assert_eq!(one.request_text(get("/who")).await.unwrap(), "first");
    assert_eq!(other.request_text(get("/who")).await.unwrap(), "first");
    let mut ticks = one.request_stream(get("/ticks")).await.unwrap().lines();
    assert_eq!(ticks.next().await.unwrap().unwrap(), "first 0");

    connection.replace(client(&api, "second").await);
    for client in [&one, &other, &one.clone(), &connection.client()] {
        assert_eq!(client.request_text(get("/who")).await.unwrap(), "second");
    }
    api.tick();
    assert_eq!(ticks.next().await.unwrap().unwrap(), "first 1");
    let mut again = other.request_stream(get("/ticks")).await.unwrap().lines();
    assert_eq!(again.next().await.unwrap().unwrap(), "second 1");
}

#[tokio::test]
async fn what_the_api_server_says_is_passed_on() {
    let root = tempfile::tempdir().unwrap();
    let api = ApiServer::start(root.path(), 1000).await;
    let connection = Connection::new(client(&api, "first").await);
    let path = "/apis/certificates.k8s.io/v1/certificatesigningrequests/none";
    let error = connection.client().request_text(get(path)).await.unwrap_err();
    assert!(matches!(&error, kube::Error::Api(status) if status.code == 404), "{error:?}");
}
