//! `krustlet-wasi run` with a program of a real registry, which `KRUSTLET_TEST_REGISTRY` names as host:port: plain HTTP, no login.
//! `cargo test -p krustlet-wasi --features registry-tests`.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::support::{Cli, PROBES};
use krustlet_oci::{Client, ClientConfig, Format, Reference};

fn registry() -> String {
    std::env::var("KRUSTLET_TEST_REGISTRY").expect(
        "set KRUSTLET_TEST_REGISTRY to the host:port of a registry that speaks plain HTTP and wants no login: these tests are \
         about a real one",
    )
}

#[tokio::test]
async fn a_reference_is_pulled_verified_and_run() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
    let config = ClientConfig { insecure_registries: vec![registry()], docker_config: None, ..ClientConfig::default() };
    let client = Client::new(config).unwrap();
    for (kind, program) in ["module", "component"].iter().zip(PROBES.iter()) {
        let tagged: Reference = format!("{}/run/{kind}-{now}:v1", registry()).parse().unwrap();
        let pushed = client.push(&tagged, fs::read(program).unwrap(), Format::default()).await.unwrap();
        for reference in [tagged.to_string(), pushed.reference_with_digest.to_string()] {
            let command = ["run", "--plain-http", &registry(), &reference, "--", "args"].map(ToOwned::to_owned);
            let (code, out, err) = Cli::new(command).end();
            assert_eq!((code, out, err), (0, format!("{kind}-{now}\nargs\n"), String::new()));
        }
        // Over TLS, which this registry has not.
        let (code, _, err) = Cli::new(["run", &tagged.to_string()]).end();
        assert_eq!(code, 128, "{err}");
    }
    let none = format!("{}/run/none-{now}:v1", registry());
    let (code, out, err) = Cli::new(["run", "--plain-http", &registry(), &none]).end();
    assert_eq!((code, out.as_str()), (128, ""));
    assert!(err.starts_with(&format!("krustlet-wasi: there is no file {none}, and it cannot be pulled: ")), "{err}");
}
