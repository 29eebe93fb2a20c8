use clap::Parser;

use super::*;

fn around() -> Surroundings {
    Surroundings { hostname: Some("Build-Box".into()), home: Some("/home/me".into()), kubeconfig: None }
}

fn resolve(argv: &[&str]) -> Result<Config, Vec<String>> {
    let flags =
        Flags::try_parse_from(std::iter::once(&"krustlet-wasi").chain(argv)).map_err(|e| vec![e.to_string()])?;
    Config::resolve(flags, &around())
}

#[test]
fn defaults_are_krustlets() {
    let config = resolve(&["--node-ip", "10.1.2.3"]).unwrap();
    assert_eq!(config.node_name, "build-box");
    assert_eq!(config.listen, "10.1.2.3:3000".parse().unwrap());
    assert_eq!(config.max_pods, 110);
    assert_eq!(config.data_dir, PathBuf::from("/home/me/.krustlet"));
    assert_eq!(config.cert_file, PathBuf::from("/home/me/.krustlet/config/krustlet.crt"));
    assert_eq!(config.key_file, PathBuf::from("/home/me/.krustlet/config/krustlet.key"));
    assert_eq!(config.bootstrap_file, PathBuf::from("/etc/kubernetes/bootstrap-kubelet.conf"));
    assert_eq!((config.registry_config, config.trusted_ca_file), (None, None));
    assert_eq!((config.certificate_duration_seconds, config.certificate_renewal_percent), (None, 80));
    assert_eq!(
        config.image_limits,
        krustlet_images::Limits { max_age: Duration::from_secs(604_800), max_bytes: 10_737_418_240 }
    );
    let compile = CompileLimits { at_once: 2, timeout: Duration::from_secs(120), memory_bytes: 1 << 30 };
    assert_eq!(config.compile_limits, compile);
    assert_eq!(config.log_limits, krustlet_logs::Limits { max_file_bytes: 10 * 1024 * 1024, max_files: 5 });
    let reserve = Reserve { cpu_millis: 100, memory_bytes: 128 << 20, storage_bytes: 1 << 30 };
    assert_eq!(config.system_reserved, reserve);
    assert_eq!(config.eviction_hard, Thresholds::default());
    assert_eq!((config.shutdown_grace, config.traces), (Duration::from_secs(5), None));
}

#[test]
fn every_flag_arrives() {
    let config = resolve(&[
        "--node-ip=10.1.2.3",
        "--node-name=krustlet",
        "--hostname=krustlet",
        "--addr=10.9.9.9",
        "--port=4000",
        "--max-pods=7",
        "--data-dir=/d",
        "--bootstrap-file=/b",
        "--cert-file=/c",
        "--private-key-file=/k",
        "--certificate-duration-seconds=600",
        "--certificate-renewal-percent=25",
        "--node-labels=a=b,c=d",
        "--insecure-registries=localhost:5000,reg.local",
        "--registry-mirrors=localhost:5000=registry:5000,docker.io=mirror",
        "--registry-config=/r.json",
        "--image-gc-max-age-hours=2",
        "--image-gc-max-bytes=0",
        "--max-parallel-compiles=3",
        "--compile-timeout-seconds=9",
        "--compile-max-memory-bytes=268435456",
        "--container-log-max-size-bytes=4096",
        "--container-log-max-files=2",
        "--system-reserved=cpu=1",
        "--eviction-hard=nodefs.available<0",
        "--shutdown-grace-period-seconds=60",
        "--server-limits=max-requests=7",
        "--allowed-host-paths=/srv/share,/mnt",
        "--allowed-egress=127.0.0.1,10.0.0.0/8",
        "--otlp-endpoint=http://localhost:4318",
        "--otlp-sampling-ratio=0.5",
    ])
    .unwrap();
    assert_eq!(config.node_name, "krustlet");
    assert_eq!(config.listen, "10.9.9.9:4000".parse().unwrap());
    assert_eq!(config.max_pods, 7);
    assert_eq!(config.cert_file, PathBuf::from("/c"));
    assert_eq!(config.key_file, PathBuf::from("/k"));
    assert_eq!(config.bootstrap_file, PathBuf::from("/b"));
    assert_eq!((config.certificate_duration_seconds, config.certificate_renewal_percent), (Some(600), 25));
    assert_eq!(config.node_labels, Labels::from([("a".into(), "b".into()), ("c".into(), "d".into())]));
    assert_eq!(config.insecure_registries, ["localhost:5000", "reg.local"]);
    let mirrors = [("docker.io", "mirror"), ("localhost:5000", "registry:5000")];
    assert_eq!(config.registry_mirrors, mirrors.map(|(name, host)| (name.into(), host.into())).into());
    assert_eq!(config.registry_config, Some("/r.json".into()));
    assert_eq!(config.image_limits, krustlet_images::Limits { max_age: Duration::from_secs(7200), max_bytes: 0 });
    let compile = CompileLimits { at_once: 3, timeout: Duration::from_secs(9), memory_bytes: 256 << 20 };
    assert_eq!(config.compile_limits, compile);
    assert_eq!(config.log_limits, krustlet_logs::Limits { max_file_bytes: 4096, max_files: 2 });
    assert_eq!(config.system_reserved, Reserve { cpu_millis: 1000, ..Reserve::default() });
    assert_eq!(config.eviction_hard, Thresholds::parse("nodefs.available<0").unwrap());
    assert_eq!(config.shutdown_grace, Duration::from_secs(60));
    assert_eq!(config.server_limits, ServerLimits { max_concurrent_requests: 7, ..ServerLimits::default() });
    assert_eq!(config.allowed_host_paths, [PathBuf::from("/srv/share"), PathBuf::from("/mnt")]);
    assert!(config.traces.is_some());
    assert_eq!(config.allowed_egress, ["127.0.0.1", "10.0.0.0/8"].map(|range| range.parse().unwrap()));
}

#[test]
fn all_faults_come_at_once() {
    let faults = resolve(&[
        "--node-ip=0.0.0.0",
        "--node-name=Krustlet",
        "--hostname=other",
        "--node-labels=kubernetes.io/role=x",
        "--insecure-registries=http://x",
        "--registry-mirrors=a,b=http://c,d=e",
        "--system-reserved=cpu=x,pods=1",
        "--eviction-hard=memory<1Gi",
        "--server-limits=max-requests=0",
        "--allowed-egress=::1,,localhost",
        "--otlp-endpoint=localhost:4318",
        "--otlp-sampling-ratio=2",
    ])
    .unwrap_err();
    let flags: Vec<&str> = faults.iter().filter_map(|fault| fault.split(':').next()).collect();
    let wanted = ["--node-name", "--hostname", "--node-ip", "--node-labels", "--insecure-registries"];
    let mirrors = ["--registry-mirrors"; 2];
    let reserved = ["--system-reserved"; 2];
    assert_eq!(
        flags,
        [
            &wanted[..],
            &mirrors,
            &reserved,
            &["--eviction-hard", "--server-limits", "--allowed-egress", "--otlp-endpoint", "--otlp-sampling-ratio"]
        ]
        .concat()
    );
}

#[test]
fn a_machine_is_known_by_an_address_of_ipv4_where_it_has_one() {
    let table = [
        (&["fc00::2", "172.18.0.3"][..], Some("172.18.0.3")),
        (&["127.0.1.1", "::1", "172.18.0.3"], Some("172.18.0.3")),
        (&["::1", "fc00::2", "fc00::3"], Some("fc00::2")),
        (&["127.0.0.1", "0.0.0.0", "224.0.0.1"], None),
        (&[], None),
    ];
    for (addresses, expected) in table {
        let addresses: Vec<IpAddr> = addresses.iter().map(|address| address.parse().unwrap()).collect();
        assert_eq!(preferred(&addresses), expected.map(|address| address.parse().unwrap()), "{addresses:?}");
    }
}

#[test]
fn a_file_of_authorities_holds_certificates_or_the_agent_does_not_start() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca.crt");
    let flag = format!("--trusted-ca-file={}", path.display());
    let certificate = rcgen::generate_simple_self_signed(["ca".to_owned()]).unwrap();
    let cases = [
        (None, Some("No such file")),
        (Some(String::new()), Some("it holds no certificate")),
        (Some(certificate.signing_key.serialize_pem()), Some("it holds no certificate")),
        (Some(certificate.cert.pem()), None),
    ];
    for (content, problem) in cases {
        if let Some(content) = content {
            std::fs::write(&path, content).unwrap();
        }
        match (resolve(&["--node-ip=10.0.0.1", &flag]), problem) {
            (Ok(config), None) => assert_eq!(config.trusted_ca_file, Some(path.clone())),
            (Err(faults), Some(problem)) => {
                assert!(faults.len() == 1 && faults[0].starts_with("--trusted-ca-file: "), "{faults:?}");
                assert!(faults[0].contains(problem) && faults[0].contains("ca.crt"), "{faults:?}");
            }
            (result, _) => panic!("{result:?}"),
        }
    }
}

#[test]
fn host_paths_are_absolute_and_never_the_agents_own() {
    for bad in ["srv", "/srv/../etc", "/", "/d", "/d/keys"] {
        let faults = resolve(&["--node-ip=10.0.0.1", "--data-dir=/d", &format!("--allowed-host-paths={bad}")]);
        let faults = faults.unwrap_err();
        assert!(faults.len() == 1 && faults[0].starts_with("--allowed-host-paths"), "{bad}: {faults:?}");
    }
    let none = resolve(&["--node-ip=10.0.0.1", "--data-dir=/d", "--allowed-host-paths="]).unwrap();
    assert!(none.allowed_host_paths.is_empty());
    assert_eq!(resolve(&["--node-ip=10.0.0.1", "--allowed-host-paths=/data"]).unwrap().allowed_host_paths.len(), 1);
}

#[test]
fn values_of_the_wrong_type_are_refused_by_name() {
    let cases = [
        ("--node-ip", "x"),
        ("--port", "0"),
        ("--port", "65536"),
        ("--max-pods", "-1"),
        ("--certificate-duration-seconds", "599"),
        ("--certificate-duration-seconds", "2147483648"),
        ("--certificate-renewal-percent", "0"),
        ("--certificate-renewal-percent", "96"),
        ("--image-gc-max-age-hours", "0"),
        ("--image-gc-max-bytes", "10Gi"),
        ("--max-parallel-compiles", "0"),
        ("--compile-timeout-seconds", "0"),
        ("--compile-max-memory-bytes", "1000"),
        ("--container-log-max-size-bytes", "10"),
        ("--container-log-max-files", "1"),
    ];
    for (flag, value) in cases {
        let message = resolve(&["--node-ip=10.0.0.1", &format!("{flag}={value}")]).unwrap_err().join("\n");
        assert!(message.contains(flag), "{message}");
    }
}
