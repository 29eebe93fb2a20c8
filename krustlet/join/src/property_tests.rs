//! What the API server answers and what stands in files of the node: read, or an error.
//!
//! Each is tried with a few hundred texts; `PROPTEST_CASES` says how many.

use proptest::prelude::*;

use crate::certificate::{Certificate, read_all, trust};
use crate::kubeconfig::Access;

proptest! {
    #[test]
    fn a_certificate_is_one_or_an_error(
        noise in prop::collection::vec(any::<u8>(), 0..200), text in "(-----(BEGIN|END) (CERTIFICATE|X)-----\n?|[A-Za-z0-9+/=]{0,64}\n){0,8}"
    ) {
        for pem in [&noise[..], text.as_bytes()] {
            let _ = (Certificate::from_pem(pem).map(|_| ()), trust(pem).map(|_| ()), read_all(pem).map(|_| ()));
        }
    }

    /// What stands in it, a token perhaps, is not repeated.
    #[test]
    fn a_kubeconfig_is_one_or_an_error_without_its_secrets(
        secret in "[A-Z]{20}", field in "token|client-certificate-data|client-key-data|other", at in 0..5usize, noise in "\\PC{0,60}"
    ) {
        let user = [format!("{{ {field}: {secret} }}"), format!("{{ {field}: [{secret}] }}"), secret.clone(), format!("[{secret}]"), noise];
        let text = format!(
            "current-context: c\ncontexts: [{{ name: c, context: {{ cluster: k, user: u }} }}]\n\
             clusters: [{{ name: k, cluster: {{ server: 'https://a.example', certificate-authority-data: QQ== }} }}]\n\
             users: [{{ name: u, user: {} }}]\n",
            user[at]
        );
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kubeconfig");
        std::fs::write(&path, text).unwrap();
        if let Err(error) = Access::read(&path) {
            let said = krustlet_core::errors::chain(&error);
            prop_assert!(!said.contains(&secret), "{said}");
        }
    }
}
