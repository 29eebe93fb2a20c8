//! The commands: each talks to the registry and says what it found or did.

use std::io::{IsTerminal, Write};
use std::path::Path;

use krustlet_oci::{Client, Format, Reference, logins_of};
use serde_json::{Map, Value, json};

use crate::{Failure, module};

/// The result of a command, in both forms.
pub(crate) struct Report {
    pub(crate) json: Value,
    pub(crate) text: String,
}

/// JSON: `reference` (by digest, the name to deploy), `tagged` (as given), `digest`, `size` in bytes, `mediaType`,
/// `moduleDigest`, `alreadyPresent`.
pub(crate) async fn push(
    client: &Client,
    file: &Path,
    reference: &Reference,
    format: Format,
) -> Result<Report, Failure> {
    let wasm = module::read(file)?;
    let size = wasm.len();
    let pushed = client.push(reference, wasm, format).await?;
    let by_digest = pushed.reference_with_digest.to_string();
    let did = match pushed.already_present {
        true => "already there, nothing sent",
        false => "pushed",
    };
    Ok(Report {
        text: format!("{by_digest}\n{did}: {size} bytes as {reference}"),
        json: json!({
            "reference": by_digest,
            "tagged": reference.to_string(),
            "digest": pushed.digest,
            "size": size,
            "mediaType": format.layer(),
            "moduleDigest": pushed.module_digest,
            "alreadyPresent": pushed.already_present,
        }),
    })
}

/// JSON: `reference`, `digest`, `size` in bytes, `mediaType`, `file`.
pub(crate) async fn pull(client: &Client, reference: &Reference, output: &Path) -> Result<Report, Failure> {
    let pulled = client.pull(reference).await?;
    write(output, &pulled.bytes)?;
    let (size, file) = (pulled.bytes.len(), output.display().to_string());
    Ok(Report {
        text: format!("{}\npulled: {size} bytes into {file}", pulled.digest),
        json: json!({
            "reference": reference.to_string(),
            "digest": pulled.digest,
            "size": size,
            "mediaType": pulled.media_type,
            "file": file,
        }),
    })
}

/// JSON: `reference`, `digest`, `moduleDigest`, `size` in bytes, `mediaType`, `configMediaType`, `config`.
pub(crate) async fn inspect(client: &Client, reference: &Reference) -> Result<Report, Failure> {
    let found = client.inspect(reference).await?;
    let config = found.config.unwrap_or(Value::Null);
    Ok(Report {
        text: format!(
            "reference     {reference}\ndigest        {}\nmodule        {} ({} bytes, {})\nconfig        {} {config}",
            found.digest, found.module_digest, found.size, found.media_type, found.config_media_type
        ),
        json: json!({
            "reference": reference.to_string(),
            "digest": found.digest,
            "moduleDigest": found.module_digest,
            "size": found.size,
            "mediaType": found.media_type,
            "configMediaType": found.config_media_type,
            "config": config,
        }),
    })
}

/// JSON: `reference` (by digest, the name to deploy), `given`, `digest`.
pub(crate) async fn resolve(client: &Client, reference: &Reference) -> Result<Report, Failure> {
    let digest = client.resolve(reference).await?;
    let by_digest = reference.by_digest(digest.clone()).to_string();
    Ok(Report {
        json: json!({ "reference": by_digest, "given": reference.to_string(), "digest": digest }),
        text: digest,
    })
}

/// JSON: `reference`, `deleted` (always true), `digest` (that it led to), `manifest` (whether that went, too).
pub(crate) async fn delete(client: &Client, reference: &Reference, manifest: bool) -> Result<Report, Failure> {
    let deleted = match manifest {
        true => client.delete_manifest(reference).await?,
        false => client.delete(reference).await?,
    };
    let what = match (deleted.manifest, manifest || reference.tag().is_none()) {
        (false, _) => "the tag alone",
        (true, true) => "the manifest with all of its tags",
        (true, false) => "the tag and its manifest, as this registry deletes no tags",
    };
    Ok(Report {
        text: format!("deleted: {reference} ({what})"),
        json: json!({
            "reference": reference.to_string(),
            "deleted": true,
            "digest": deleted.digest,
            "manifest": deleted.manifest,
        }),
    })
}

/// JSON: `registry`, `logins` (a list of `key` and `login`, in words without a secret); with `secrets` also `auths`, as a docker
/// config has them. As text with `secrets` it is that config.
pub(crate) async fn login_of(docker_config: Option<&Path>, registry: &str, secrets: bool) -> Result<Report, Failure> {
    if secrets && std::io::stdout().is_terminal() {
        return Err(Failure::Terminal);
    }
    let found = match docker_config {
        Some(file) => logins_of(file, registry).await?,
        None => Vec::new(),
    };
    let logins: Vec<_> = found.iter().map(|one| json!({ "key": one.key, "login": one.described() })).collect();
    let mut report = json!({ "registry": registry, "logins": logins });
    let lines: Vec<_> = found.iter().map(|one| format!("{}: {}", one.key, one.described())).collect();
    let mut text = if lines.is_empty() { format!("no login for {registry}") } else { lines.join("\n") };
    if secrets {
        let auths: Map<_, _> = found.iter().map(|one| (one.key.clone(), one.docker_auth())).collect();
        text = json!({ "auths": auths }).to_string();
        report["auths"] = Value::Object(auths);
    }
    Ok(Report { json: report, text })
}

/// JSON: `registry`, `status` (of HTTP), `serves` (whether that is a registry's).
pub(crate) async fn ping(client: &Client, registry: &str) -> Result<Report, Failure> {
    let status = client.ping(registry).await?;
    let serves = matches!(status, 200 | 401);
    Ok(Report {
        text: format!("{registry}: HTTP {status}{}", if serves { "" } else { ", which is no registry's answer" }),
        json: json!({ "registry": registry, "status": status, "serves": serves }),
    })
}

/// Writes beside the file and renames, so that nobody finds half a module under its name.
fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let failed = |problem| Failure::Write { path: path.display().to_string(), problem };
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.part", std::process::id()));
    let part = path.with_file_name(name);
    let result = std::fs::File::create(&part)
        .and_then(|mut file| file.write_all(bytes))
        .and_then(|()| std::fs::rename(&part, path));
    if result.is_err() {
        // Whatever went wrong is worth more than why the rest cannot be removed.
        let _ = std::fs::remove_file(&part);
    }
    result.map_err(failed)
}
