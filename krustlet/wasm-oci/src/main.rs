//! `wasm-oci` moves WebAssembly modules between files and OCI registries.
//!
//! Results go to standard output, as text or as one line of JSON; what went wrong goes to standard error. Exit codes: 0 done,
//! 1 failed, 2 wrong usage (of the command line, or a file that is no module), 3 not there.

mod commands;
mod login;
mod module;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use krustlet_oci::{Client, ClientConfig, OciError, Reference, default_docker_config};

use crate::login::LoginError;
use crate::module::ModuleError;

/// Push, pull, inspect and delete WebAssembly modules in OCI registries.
#[derive(Parser)]
#[command(
    version,
    after_help = "Logins are those of `docker login`: $DOCKER_CONFIG/config.json or ~/.docker/config.json, with the \
credential helpers that it names; or --username and --password-stdin.\nExit codes: 0 done, 1 failed, 2 wrong usage or no WebAssembly module, 3 not in the registry."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    options: Options,
}

#[derive(Args)]
struct Options {
    /// A registry to speak to in plain HTTP, as host:port, just as the reference names it; may be repeated.
    #[arg(long, global = true, value_name = "REGISTRY")]
    plain_http: Vec<String>,
    /// A file with the certificate of a private authority, PEM, that is trusted besides the host's authorities.
    #[arg(long, global = true, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// The docker config file with the logins [default: $DOCKER_CONFIG/config.json, else ~/.docker/config.json].
    #[arg(long, global = true, value_name = "FILE")]
    registry_config: Option<PathBuf>,
    /// The user to log in as, instead of the logins of `docker login`; the password comes with --password-stdin.
    #[arg(long, global = true, value_name = "USER")]
    username: Option<String>,
    /// Read the password, or the token that stands for it, from standard input.
    #[arg(long, global = true)]
    password_stdin: bool,
    /// Print the result as one line of JSON.
    #[arg(long, global = true)]
    json: bool,
    /// Seconds that a registry may take to accept a connection.
    #[arg(long, global = true, value_name = "SECONDS", default_value_t = 10)]
    connect_timeout: u64,
    /// Seconds that a registry may be silent in the middle of an answer.
    #[arg(long, global = true, value_name = "SECONDS", default_value_t = 30)]
    read_timeout: u64,
}

#[derive(Subcommand)]
enum Command {
    /// Push a module or component; nothing is sent if it is there already.
    Push {
        /// The .wasm file.
        file: PathBuf,
        /// Where to: registry/repository:tag.
        reference: Reference,
        /// What the artifact looks like.
        #[arg(long, value_enum, default_value_t = Format::Wasm)]
        format: Format,
    },
    /// Pull a module into a file.
    Pull {
        /// Which: registry/repository:tag or registry/repository@sha256:….
        reference: Reference,
        /// The file to write; it is replaced only when the module has arrived whole.
        #[arg(short, long, value_name = "FILE")]
        output: PathBuf,
    },
    /// Show what a reference leads to, without pulling the module.
    Inspect {
        /// Which: registry/repository:tag or registry/repository@sha256:….
        reference: Reference,
    },
    /// Print the digest that a reference leads to, whatever is there.
    Resolve {
        /// Which: registry/repository:tag or registry/repository@sha256:….
        reference: Reference,
    },
    /// Delete a tag and leave what it leads to; or, with a digest alone or --manifest, the manifest with all of its tags.
    ///
    /// Where a registry deletes no tags, the manifest goes if no other tag leads to it; otherwise nothing does.
    Delete {
        /// Which: registry/repository:tag, the same with @sha256:… (only if the tag leads there), or
        /// registry/repository@sha256:….
        reference: Reference,
        /// Delete the manifest, and with it every tag that leads to it.
        #[arg(long)]
        manifest: bool,
    },
    /// Tell which logins this machine has for a registry: those of the credential helper or of the docker config file.
    LoginOf {
        /// The registry: host or host:port.
        registry: String,
        /// Print the logins themselves, as the `auths` of a docker config: into a pipe or a file, never to a terminal.
        #[arg(long)]
        secrets: bool,
    },
    /// Tell whether a registry answers at all, asking for a login or not.
    Ping {
        /// The registry: host or host:port.
        registry: String,
    },
}

/// The formats of an artifact.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// The agreed one: application/vnd.wasm.config.v0+json and application/wasm.
    Wasm,
    /// The older one: application/vnd.wasm.config.v1+json and application/vnd.wasm.content.layer.v1+wasm.
    WasmToOci,
}

impl From<Format> for krustlet_oci::Format {
    fn from(format: Format) -> Self {
        match format {
            Format::Wasm => Self::Wasm,
            Format::WasmToOci => Self::WasmToOci,
        }
    }
}

/// All that can go wrong.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Oci(#[from] OciError),
    #[error(transparent)]
    Module(#[from] ModuleError),
    #[error(transparent)]
    Login(#[from] LoginError),
    #[error("cannot write {path}: {problem}")]
    Write { path: String, problem: std::io::Error },
    #[error("logins are not shown on a terminal; send --secrets into a pipe, or leave it out")]
    Terminal,
    #[error("{0} does not exist; `docker --config <folder> login <registry>` writes such a file")]
    NoRegistryConfig(String),
    #[error("cannot print the result: {0}")]
    Print(std::io::Error),
    #[error("cannot start: {0}")]
    Start(std::io::Error),
}

impl Failure {
    fn code(&self) -> u8 {
        match self {
            Self::Oci(OciError::NotFound { .. }) => 3,
            Self::Terminal | Self::NoRegistryConfig(_) => 2,
            Self::Oci(
                OciError::Reference { .. }
                | OciError::NotAModule(_)
                | OciError::TooLarge { .. }
                | OciError::TrustedCa { .. },
            )
            | Self::Module(_)
            | Self::Login(_) => 2,
            _ => 1,
        }
    }
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    // Not `println!`, which panics when nobody reads any more.
    match run(cli).and_then(|text| writeln!(std::io::stdout(), "{text}").map_err(Failure::Print)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("wasm-oci: {failure}");
            ExitCode::from(failure.code())
        }
    }
}

fn run(cli: Cli) -> Result<String, Failure> {
    let Options { plain_http, ca_file, registry_config, username, password_stdin, json, .. } = cli.options;
    let docker_config = match registry_config {
        Some(file) if !file.exists() => return Err(Failure::NoRegistryConfig(file.display().to_string())),
        Some(file) => Some(file),
        None => default_docker_config(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::Start)?;
    let given = login::given(username, password_stdin)?;
    // With a login of its own, or without need of any, a file that is damaged does not matter.
    let asks_as_nobody = given.is_some() || matches!(cli.command, Command::Ping { .. } | Command::LoginOf { .. });
    let mut client = Client::new(ClientConfig {
        insecure_registries: plain_http,
        trusted_ca_file: ca_file,
        connect_timeout: Duration::from_secs(cli.options.connect_timeout),
        read_timeout: Duration::from_secs(cli.options.read_timeout),
        docker_config: docker_config.clone().filter(|_| !asks_as_nobody),
        ..ClientConfig::default()
    })?;
    if let Some((user, password)) = given {
        client = client.as_user(&user, &password, "--username");
    }
    let report = runtime.block_on(async {
        match cli.command {
            Command::Push { file, reference, format } => {
                commands::push(&client, &file, &reference, format.into()).await
            }
            Command::Pull { reference, output } => commands::pull(&client, &reference, &output).await,
            Command::Inspect { reference } => commands::inspect(&client, &reference).await,
            Command::Resolve { reference } => commands::resolve(&client, &reference).await,
            Command::Delete { reference, manifest } => commands::delete(&client, &reference, manifest).await,
            Command::LoginOf { registry, secrets } => {
                commands::login_of(docker_config.as_deref(), &registry, secrets).await
            }
            Command::Ping { registry } => commands::ping(&client, &registry).await,
        }
    })?;
    Ok(match json {
        true => report.json.to_string(),
        false => report.text,
    })
}
