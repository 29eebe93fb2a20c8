//! As whom a registry is asked, one after the other.

use crate::auth::login::Login;
use crate::client::Client;
use crate::{OciError, Reference};

/// Where logins come from, in the order in which they are tried.
#[derive(Clone, Copy)]
enum Source {
    Keyring,
    Helper,
    File,
    Nobody,
}

impl Client {
    /// Asks with one login after the other until one is let in.
    pub(crate) async fn in_turn<T, F: Future<Output = Result<T, OciError>>>(
        &self,
        reference: &Reference,
        ask: impl Fn(Login) -> F,
    ) -> Result<T, OciError> {
        if let Some(only) = &self.only {
            return ask(Login::clone(only)).await.map_err(|error| error.asked_as(only));
        }
        let mut first = None;
        let mut asked = Vec::new();
        for source in [Source::Keyring, Source::Helper, Source::File, Source::Nobody] {
            let logins = match self.logins(source, reference).await {
                Ok(logins) => logins,
                // It may be of no use for this artifact, so the others go on; if they do not succeed, it is what to mend.
                Err(error) => {
                    first.get_or_insert(error);
                    continue;
                }
            };
            for login in logins {
                if asked.contains(&login) {
                    continue;
                }
                match ask(login.clone()).await {
                    Err(error) if error.may_be_the_login() => {
                        first.get_or_insert(error.asked_as(&login));
                    }
                    result => return result,
                }
                asked.push(login);
            }
        }
        // There was at least the anonymous one.
        Err(first.unwrap_or_else(|| OciError::unauthorized(reference, "")))
    }

    /// A helper is asked only when nothing before it has opened.
    async fn logins(&self, source: Source, reference: &Reference) -> Result<Vec<Login>, OciError> {
        Ok(match (source, &self.shared.file) {
            (Source::Keyring, _) => match &self.keyring {
                Some(keyring) => keyring.logins(reference)?,
                None => Vec::new(),
            },
            (Source::Helper, Some(file)) => file.helper_login(reference).await?.into_iter().collect(),
            (Source::File, Some(file)) => file.logins(reference)?,
            (Source::Helper | Source::File, None) => Vec::new(),
            (Source::Nobody, file) => {
                let places = [
                    self.keyring.is_some().then(|| "the pod's imagePullSecrets".to_owned()),
                    file.as_ref().map(|file| format!("{} and its credential helpers", file.path().display())),
                ];
                let places: Vec<_> = places.into_iter().flatten().collect();
                let registry = reference.registry();
                vec![Login::anonymous(match places.as_slice() {
                    [] => "it was given no login".to_owned(),
                    places => format!("no login for {registry} is in {}", places.join(" nor in ")),
                })]
            }
        })
    }
}
