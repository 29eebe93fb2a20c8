//! When a module is pulled: <https://kubernetes.io/docs/concepts/containers/images/#image-pull-policy>

use krustlet_oci::Reference;

/// `imagePullPolicy` of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PullPolicy {
    /// The registry is asked each time what the name means; a module that is here already is not fetched again.
    Always,
    /// The registry is asked only when the module is not here.
    IfNotPresent,
    /// The registry is never asked.
    Never,
}

impl PullPolicy {
    /// What the container says, or else Kubernetes' default: `Always` for the tag `latest`, which is also the tag of a
    /// name without one, `IfNotPresent` for other tags and for digests.
    pub fn of(declared: Option<&str>, reference: &Reference) -> Self {
        match declared {
            Some("Always") => Self::Always,
            Some("Never") => Self::Never,
            Some("IfNotPresent") => Self::IfNotPresent,
            _ if reference.digest().is_none() && reference.tag().is_none_or(|tag| tag == "latest") => Self::Always,
            _ => Self::IfNotPresent,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_follow_the_tag() {
        let digest = format!("r.io/a@sha256:{}", "0".repeat(64));
        let table = [
            (None, "r.io/a", PullPolicy::Always),
            (None, "r.io/a:latest", PullPolicy::Always),
            (None, "r.io/a:v1", PullPolicy::IfNotPresent),
            (None, digest.as_str(), PullPolicy::IfNotPresent),
            (Some("Always"), "r.io/a:v1", PullPolicy::Always),
            (Some("Never"), "r.io/a", PullPolicy::Never),
            (Some("IfNotPresent"), "r.io/a:latest", PullPolicy::IfNotPresent),
        ];
        for (declared, image, wanted) in table {
            assert_eq!(PullPolicy::of(declared, &image.parse().unwrap()), wanted, "{declared:?} {image}");
        }
    }
}
