//! What to do about a refusal, in the words of each registry's own documentation.

/// A registry of a vendor, by its host.
enum Vendor<'a> {
    GitHub,
    DockerHub,
    /// With the name of the registry.
    Azure(&'a str),
    Google,
    Amazon,
    Other,
}

fn vendor(registry: &str) -> Vendor<'_> {
    let host = registry.split(':').next().unwrap_or_default();
    let azure = [".azurecr.io", ".azurecr.cn", ".azurecr.us"].iter().find_map(|domain| host.strip_suffix(domain));
    match host {
        "ghcr.io" => Vendor::GitHub,
        "docker.io" => Vendor::DockerHub,
        _ if host.ends_with(".pkg.dev") || host == "gcr.io" || host.ends_with(".gcr.io") => Vendor::Google,
        _ if host.ends_with(".amazonaws.com") && host.contains(".dkr.ecr.") => Vendor::Amazon,
        _ => azure.map_or(Vendor::Other, Vendor::Azure),
    }
}

/// How to log in, and with which right.
pub(crate) fn log_in(registry: &str) -> String {
    let how = match vendor(registry) {
        Vendor::GitHub => {
            "log in with `docker login ghcr.io` and a personal access token that has read:packages, for a push \
                           write:packages"
                .to_owned()
        }
        Vendor::DockerHub => {
            "log in with `docker login` and an access token that may Read, for a push Read & Write".to_owned()
        }
        Vendor::Azure(name) => {
            format!("log in with `az acr login --name {name}` and the role AcrPull, for a push AcrPush")
        }
        Vendor::Google => format!(
            "log in with `gcloud auth configure-docker {registry}` and the role Artifact Registry Reader, for a push Writer"
        ),
        Vendor::Amazon => format!(
            "log in with `aws ecr get-login-password | docker login --username AWS --password-stdin {registry}`, anew every 12 \
             hours"
        ),
        Vendor::Other => format!("log in with `docker login {registry}`"),
    };
    format!("{how}; or give the pod an imagePullSecret for it")
}

/// How to make a repository where a push does not.
pub(crate) fn create(registry: &str) -> &'static str {
    match vendor(registry) {
        Vendor::Google => {
            "make it first with `gcloud artifacts repositories create NAME --repository-format=docker`, or see that project and \
             repository are right"
        }
        Vendor::Amazon => "make it first with `aws ecr create-repository`, or see that its name is right",
        _ => "make it there first, or see that its name is right",
    }
}

/// What to look at when there was no answer.
pub(crate) fn reach(cause: &str) -> &'static str {
    match cause.contains("certificate") || cause.contains("UnknownIssuer") {
        true => {
            "if a private authority signed its certificate, name the file with the authority's certificate (wasm-oci --ca-file, \
             krustlet-wasi --trusted-ca-file)"
        }
        false => {
            "see that the address is right and that the registry runs; if it speaks plain HTTP, name it in --plain-http \
             (wasm-oci, krustlet-wasi run and serve) or in a node's --insecure-registries"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_vendor_has_its_own_way_to_log_in() {
        let table = [
            ("ghcr.io", "`docker login ghcr.io` and a personal access token that has read:packages"),
            ("docker.io", "`docker login` and an access token"),
            ("me.azurecr.io", "`az acr login --name me` and the role AcrPull"),
            ("europe-docker.pkg.dev", "`gcloud auth configure-docker europe-docker.pkg.dev`"),
            ("eu.gcr.io", "`gcloud auth configure-docker eu.gcr.io`"),
            ("1.dkr.ecr.eu-west-1.amazonaws.com", "--password-stdin 1.dkr.ecr.eu-west-1.amazonaws.com`"),
            ("localhost:5000", "`docker login localhost:5000`"),
            ("ghcr.io.example.com", "`docker login ghcr.io.example.com`"),
            ("notgcr.io", "`docker login notgcr.io`"),
        ];
        for (registry, expected) in table {
            let advice = log_in(registry);
            assert!(advice.starts_with("log in with `") && advice.contains(expected), "{advice}");
            assert!(advice.ends_with("; or give the pod an imagePullSecret for it"), "{advice}");
        }
        assert!(create("europe-docker.pkg.dev").contains("gcloud artifacts repositories create"));
        assert!(create("localhost:5000").starts_with("make it there first"));
        assert!(reach("invalid peer certificate: UnknownIssuer").contains("--ca-file"));
        assert!(reach("Connection refused").contains("plain HTTP"));
    }
}
