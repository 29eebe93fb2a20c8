//! What may happen to a certificate request. Pure: everything is known before, and nothing is taken from the request that was
//! not expected before it came.

use k8s_openapi::api::certificates::v1::{CertificateSigningRequest, CertificateSigningRequestCondition};
use serde::Serialize;

use crate::der::Fault;
use crate::request::Request;

/// Which of a node's two certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Purpose {
    /// The node's credential at the API server.
    Client,
    /// The certificate of the node's own port.
    Serving,
}

impl Purpose {
    pub const ALL: [Self; 2] = [Self::Client, Self::Serving];

    pub fn word(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Serving => "serving",
        }
    }

    /// <https://kubernetes.io/docs/reference/access-authn-authz/certificate-signing-requests/#kubernetes-signers>
    pub fn signer(self) -> &'static str {
        match self {
            Self::Client => "kubernetes.io/kube-apiserver-client-kubelet",
            Self::Serving => "kubernetes.io/kubelet-serving",
        }
    }

    fn usages(self) -> [&'static str; 2] {
        match self {
            Self::Client => ["digital signature", "client auth"],
            Self::Serving => ["digital signature", "server auth"],
        }
    }
}

/// What the node's request must be, known from elsewhere than the cluster (but for `node_taken`).
#[derive(Clone, Debug, Default)]
pub struct Expectations {
    pub node_name: String,
    pub node_ip: String,
    /// Group of the bootstrap token.
    pub bootstrap_group: String,
    /// User of the bootstrap token: `system:bootstrap:<token id>`; `None`: no token is known.
    pub bootstrap_username: Option<String>,
    /// Public keys that the agent handed over (SubjectPublicKeyInfo, DER); `None`: it has not yet.
    pub client_key: Option<Vec<u8>>,
    pub serving_key: Option<Vec<u8>>,
    /// When the agent was launched, in milliseconds since 1970; `None`: it was not, and nothing is from after that.
    pub launched_at: Option<i64>,
    /// Life that the agent asks for, in seconds; `None`: it leaves that to the signer.
    pub duration_seconds: Option<i32>,
    /// Whether the cluster has a Node of this name that this host's agent did not register.
    pub node_taken: bool,
}

impl Expectations {
    fn key(&self, purpose: Purpose) -> Option<&Vec<u8>> {
        match purpose {
            Purpose::Client => self.client_key.as_ref(),
            Purpose::Serving => self.serving_key.as_ref(),
        }
    }

    /// Whether it was filed since the launch, the API server's clock being so many milliseconds behind this host's at most.
    fn is_since_launch(&self, csr: &CertificateSigningRequest, skew: i64) -> bool {
        self.launched_at.zip(filed_at(csr)).is_some_and(|(launched, filed)| filed >= launched - skew)
    }
}

/// How far the API server's clock may be behind; times in Kubernetes are whole seconds besides.
const CLOCK_SKEW_MILLISECONDS: i64 = 30_000;

/// What may happen to a request.
#[derive(Debug, PartialEq, Eq)]
pub enum Decision {
    Approve(Purpose),
    /// It is the node's and somebody approved it already: an ended run, or a person.
    ApprovedAlready(Purpose),
    /// The reasons tell each check that failed; the purpose is that of its signer.
    Refuse(Option<Purpose>, Vec<String>),
}

/// Decides on a request that bears the node's name. `parsed` is the PKCS #10 content, or why it cannot be read.
pub fn decide(csr: &CertificateSigningRequest, parsed: &Result<Request, Fault>, expected: &Expectations) -> Decision {
    let Some(purpose) = Purpose::ALL.into_iter().find(|one| one.signer() == csr.spec.signer_name) else {
        let signers = Purpose::ALL.map(Purpose::signer).join(", ");
        let reason = format!("signer is {}, not one of {signers}", printable(&csr.spec.signer_name));
        return Decision::Refuse(None, vec![reason]);
    };
    let mut reasons = requester_faults(csr, purpose, expected);
    reasons.extend(request_faults(csr, purpose, parsed, expected));
    reasons.extend(conditions(csr).iter().filter(|one| one.type_ != "Approved").map(|one| {
        let (reason, message) = (one.reason.as_deref().unwrap_or(""), one.message.as_deref().unwrap_or(""));
        format!("it was decided before: {}", printable(&format!("{} ({reason} {message})", one.type_)))
    }));
    if !reasons.is_empty() {
        return Decision::Refuse(Some(purpose), reasons);
    }
    if is_undecided(csr) { Decision::Approve(purpose) } else { Decision::ApprovedAlready(purpose) }
}

/// Who asks, when, and for how long.
fn requester_faults(csr: &CertificateSigningRequest, purpose: Purpose, expected: &Expectations) -> Vec<String> {
    let user = csr.spec.username.as_deref();
    let name = &expected.node_name;
    let node = user_name(name);
    // A client certificate is asked for with the token once, and renewed by the node itself.
    let first = purpose == Purpose::Client && user != Some(node.as_str());
    let username = if first { expected.bootstrap_username.as_deref() } else { Some(node.as_str()) };
    let groups: &[&str] = if first {
        // The API server puts every bootstrap token into the group of all of them too.
        &[&expected.bootstrap_group, "system:bootstrappers", "system:authenticated"]
    } else {
        &["system:nodes", "system:authenticated"]
    };
    let given = strings(csr.spec.groups.as_ref());
    let mut faults = Faults::default();
    faults.unless(username.is_some() && user == username, || {
        let who = printable(user.unwrap_or("unknown"));
        format!("requester is {who}, not {}", username.unwrap_or("a token of this node"))
    });
    faults
        .unless(same_set(&given, groups), || format!("requester's groups are {}, not {}", show(&given), show(groups)));
    faults.unless(expected.is_since_launch(csr, CLOCK_SKEW_MILLISECONDS), || {
        let created = csr.metadata.creation_timestamp.as_ref();
        let when = created.map_or_else(|| "an unknown time".into(), |time| time.0.to_string());
        format!("it was filed at {when}, before the node was launched")
    });
    faults.unless(!(first && expected.node_taken), || {
        format!(
            "the cluster has a Node {name} already, which this host's agent did not register; delete it if nothing uses it"
        )
    });
    let seconds = csr.spec.expiration_seconds;
    match expected.duration_seconds {
        Some(asked) => faults.unless(seconds == Some(asked), || {
            let given = seconds.map_or_else(|| "not set".into(), |seconds| seconds.to_string());
            format!("expirationSeconds is {given}, not {asked}")
        }),
        // 10 minutes is the least that a signer gives; a year is what a node gets without asking.
        None => faults.unless(seconds.is_none_or(|seconds| (600..=31_622_400).contains(&seconds)), || {
            format!("expirationSeconds is {}, not between 600 and 31622400", seconds.unwrap_or_default())
        }),
    }
    faults.0
}

/// What is asked for.
fn request_faults(
    csr: &CertificateSigningRequest,
    purpose: Purpose,
    parsed: &Result<Request, Fault>,
    expected: &Expectations,
) -> Vec<String> {
    let mut faults = Faults::default();
    let (given, usages) = (strings(csr.spec.usages.as_ref()), purpose.usages());
    faults.unless(same_set(&given, &usages), || format!("usages are {}, not {}", show(&given), show(&usages)));
    let request = match parsed {
        Ok(request) => request,
        Err(fault) => {
            faults.0.push(format!("its request cannot be read: {}", printable(fault)));
            return faults.0;
        }
    };
    let subject = [format!("CN={}", user_name(&expected.node_name)), "O=system:nodes".into()];
    let asked: Vec<String> = request.subject.iter().map(|(attribute, value)| format!("{attribute}={value}")).collect();
    let names = match purpose {
        Purpose::Client => vec![],
        Purpose::Serving => vec![format!("DNS:{}", expected.node_name), format!("IP:{}", expected.node_ip)],
    };
    let given = &request.alternative_names;
    faults.unless(same_set(&asked, &subject), || format!("subject is {}, not {}", show(&asked), show(&subject)));
    faults.unless(same_set(given, &names), || format!("names are {}, not {}", show(given), show(&names)));
    faults.unless(request.others.is_empty(), || format!("it asks for more: {}", show(&request.others)));
    let is_p256 = request.key_type == "P-256";
    faults.unless(is_p256, || format!("its key is {}, not P-256", request.key_type));
    match expected.key(purpose) {
        None => faults.0.push("the node's agent has handed over no public key".into()),
        Some(key) => faults
            .unless(request.public_key == *key, || "its public key is not the one that the node's agent made".into()),
    }
    // Of another kind of key it is not looked at.
    faults.unless(request.signature_verifies || !is_p256, || "its own signature does not verify".into());
    faults.0
}

/// Whether a request bears the node's name, rightly or not: in its subject, as its requester, as the name that a serving
/// certificate would hold, or in its own name, where the agent's requests have it.
pub fn bears_name(csr: &CertificateSigningRequest, parsed: &Result<Request, Fault>, node_name: &str) -> bool {
    let user = user_name(node_name);
    let own = csr.metadata.name.as_deref().unwrap_or_default();
    if csr.spec.username.as_ref() == Some(&user) || has_our_name(own, node_name) {
        return true;
    }
    let Ok(request) = parsed else { return false };
    request.subject.iter().any(|(_, value)| *value == user)
        || (csr.spec.signer_name == Purpose::Serving.signer()
            && request.alternative_names.contains(&format!("DNS:{node_name}")))
}

/// Whether an object is named as the agent's requests are: `krustlet-<node>-client-` and some letters. No "-" among these: the
/// requests of a node "a-client" begin with `krustlet-a-client-` too, and are none of node "a".
fn has_our_name(name: &str, node_name: &str) -> bool {
    Purpose::ALL.iter().any(|purpose| {
        let letters = name.strip_prefix(&format!("krustlet-{node_name}-{}-", purpose.word()));
        letters.is_some_and(|letters| !letters.contains('-'))
    })
}

/// Whether nobody has decided on it.
pub fn is_undecided(csr: &CertificateSigningRequest) -> bool {
    conditions(csr).is_empty()
}

/// Whether somebody else's request for this node's name was granted since its launch, by somebody who may. It cannot be
/// denied any more, so it must be told of. The node's own, and its tokens', come from joining or renewing before.
pub fn is_granted_to_stranger(csr: &CertificateSigningRequest, expected: &Expectations) -> bool {
    let stranger = csr.spec.username.as_ref() != Some(&user_name(&expected.node_name))
        && !is_of_group(csr, &expected.bootstrap_group);
    let granted = conditions(csr).iter().any(|one| one.type_ == "Approved");
    stranger && granted && expected.is_since_launch(csr, 1000)
}

/// Whether its requester is of that group.
pub fn is_of_group(csr: &CertificateSigningRequest, group: &str) -> bool {
    strings(csr.spec.groups.as_ref()).contains(&group)
}

/// The request as it is sent to its approval subresource, approved or denied; `None` where there is nothing to send: it was
/// decided before.
pub fn decided(csr: &CertificateSigningRequest, decision: &Decision) -> Option<CertificateSigningRequest> {
    if !is_undecided(csr) {
        return None;
    }
    let (kind, reason, message) = match decision {
        Decision::Refuse(_, reasons) => {
            let why = format!("It bears a node's name and is not that node's: {}", reasons.join("; "));
            ("Denied", "KrustletStackDenied", why)
        }
        Decision::Approve(_) | Decision::ApprovedAlready(_) => {
            let why = "Requester, subject, names, usages, signature and public key are the node's";
            ("Approved", "KrustletStackApproved", why.into())
        }
    };
    let mut csr = csr.clone();
    csr.status.get_or_insert_default().conditions = Some(vec![CertificateSigningRequestCondition {
        type_: kind.into(),
        status: "True".into(),
        reason: Some(reason.into()),
        message: Some(message),
        ..CertificateSigningRequestCondition::default()
    }]);
    Some(csr)
}

/// The user name of a node, which is also the common name of both its certificates.
pub fn user_name(node_name: &str) -> String {
    format!("system:node:{node_name}")
}

/// When it was filed, in milliseconds since 1970.
pub fn filed_at(csr: &CertificateSigningRequest) -> Option<i64> {
    csr.metadata.creation_timestamp.as_ref().map(|time| time.0.as_millisecond())
}

/// What a stranger wrote, for a log or a terminal: one line of letters, digits and ASCII, and not too long.
pub fn printable(text: &str) -> String {
    let is_plain = |one: char| one == ' ' || one.is_ascii_graphic() || one.is_alphanumeric();
    let line: Vec<char> = text.chars().map(|one| if is_plain(one) { one } else { '\u{fffd}' }).collect();
    if line.len() > 200 { line[..197].iter().chain(&['.'; 3]).collect() } else { line.iter().collect() }
}

fn conditions(csr: &CertificateSigningRequest) -> &[CertificateSigningRequestCondition] {
    csr.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default()
}

fn strings(list: Option<&Vec<String>>) -> Vec<&str> {
    list.map(|list| list.iter().map(String::as_str).collect()).unwrap_or_default()
}

fn same_set(given: &[impl AsRef<str>], wanted: &[impl AsRef<str>]) -> bool {
    let mut given: Vec<&str> = given.iter().map(AsRef::as_ref).collect();
    let mut wanted: Vec<&str> = wanted.iter().map(AsRef::as_ref).collect();
    given.sort_unstable();
    wanted.sort_unstable();
    given == wanted
}

fn show(values: &[impl AsRef<str>]) -> String {
    if values.is_empty() {
        return "none".into();
    }
    let shown: Vec<String> = values.iter().take(8).map(|value| printable(value.as_ref())).collect();
    let more = values.len() - shown.len();
    let shown = shown.join(", ");
    if more > 0 { format!("{shown} and {more} more") } else { shown }
}

#[derive(Default)]
struct Faults(Vec<String>);

impl Faults {
    fn unless(&mut self, holds: bool, reason: impl FnOnce() -> String) {
        if !holds {
            self.0.push(reason());
        }
    }
}
