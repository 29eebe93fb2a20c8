import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
    canInstallDocker,
    dockerProblem,
    problemMessage,
    rustProblem,
    type Host,
} from "../../../../tools/toolchain/advice";
import { diagnose, problemsOf, type Facts } from "../../../../tools/toolchain/diagnosis";
import { distributionOf } from "../../../../tools/toolchain/host";
import {
    TOOLS,
    type InspectedRust,
    type InspectedTool,
    type Inspection,
} from "../../../../tools/toolchain/inspect";
import { version } from "../../../../common/semver";
import { releaseOf } from "../../../../tools/sources/releases";
import { NODE_IMAGE, REGISTRY_IMAGE } from "../../../../common/versions";

const debianRoot: Host = { os: "linux", isRoot: true, distribution: "debian", remoteDocker: false };
const fedoraUser: Host = { os: "linux", isRoot: false, distribution: "fedora", remoteDocker: false };
const rust: InspectedRust = {
    cargo: "/usr/bin/cargo",
    rustc: version("1.95.0"),
    rustcText: "rustc 1.95.0",
    rustup: "/usr/bin/rustup",
    wasiTargets: ["wasm32-wasip1", "wasm32-wasip2"],
    agent: { dir: "/cache/krustlet/1", cached: true },
};

describe("Docker", () => {
    it("is installed only by root on Debian or Ubuntu, for this machine's own daemon", () => {
        assert.equal(canInstallDocker(debianRoot), true);
        assert.equal(canInstallDocker({ ...debianRoot, distribution: "linuxmint ubuntu debian" }), true);
        assert.equal(canInstallDocker({ ...debianRoot, isRoot: false }), false);
        assert.equal(canInstallDocker({ ...debianRoot, remoteDocker: true }), false);
        assert.equal(canInstallDocker(fedoraUser), false);
        assert.equal(canInstallDocker({ ...debianRoot, os: "darwin", distribution: "" }), false);
    });
    it("is fine when a new enough daemon answers", () => {
        assert.equal(dockerProblem({ client: "docker", daemon: version("28.2.2") }, fedoraUser), undefined);
        assert.deepEqual(dockerProblem({ client: "docker", daemon: version("19.3.0") }, debianRoot), {
            what: "Docker Engine is 19.3.0, older than 20.10.0",
            todo: "Update Docker: https://docs.docker.com/engine/install/",
        });
    });
    it("has advice for each kind of machine", () => {
        const none = { problem: "docker is not on PATH" };
        assert.equal(dockerProblem(none, debianRoot), undefined);
        assert.deepEqual(dockerProblem(none, fedoraUser), {
            what: "no Docker daemon answers (docker is not on PATH)",
            todo: "Install Docker Engine and start it: https://docs.docker.com/engine/install/",
        });
        assert.match(
            dockerProblem(none, { ...debianRoot, isRoot: false })?.todo ?? "",
            /apt-get install docker.io/,
        );
        assert.match(dockerProblem(none, { ...fedoraUser, os: "darwin" })?.todo ?? "", /Docker Desktop/);
        assert.match(dockerProblem(none, { ...debianRoot, remoteDocker: true })?.todo ?? "", /DOCKER_HOST/);
        const denied = { client: "docker", problem: "permission denied while trying to connect" };
        assert.match(dockerProblem(denied, fedoraUser)?.todo ?? "", /usermod -aG docker/);
    });
});

describe("Rust", () => {
    it("is fine, or will be completed by rustup", () => {
        assert.equal(rustProblem(rust), undefined);
        assert.equal(rustProblem({ ...rust, wasiTargets: [] }), undefined);
    });
    it("has to be there, new enough, and able to compile the workloads", () => {
        assert.match(rustProblem({ wasiTargets: [] })?.what ?? "", /no Rust toolchain/);
        assert.deepEqual(rustProblem({ ...rust, rustc: version("1.63.0"), rustup: undefined }), {
            what: "Rust is 1.63.0, older than 1.95.0",
            todo: "Install Rust with rustup: https://rustup.rs",
        });
        assert.equal(rustProblem({ ...rust, rustc: version("1.80.1") })?.todo, "Run `rustup update stable`");
        assert.match(
            rustProblem({ ...rust, rustup: undefined, wasiTargets: ["wasm32-wasip2"] })?.todo ?? "",
            /libstd-rust-dev-wasm32/,
        );
        // The second target is for components alone.
        assert.equal(rustProblem({ ...rust, rustup: undefined, wasiTargets: ["wasm32-wasip1"] }), undefined);
    });
});

it("reads the distribution", () => {
    assert.equal(
        distributionOf('PRETTY_NAME="x"\nID=ubuntu\nID_LIKE=debian\nVERSION_ID="24.04"\n'),
        "ubuntu debian",
    );
    assert.equal(distributionOf('ID="rocky"\nID_LIKE="rhel centos fedora"\n'), "rocky rhel centos fedora");
    assert.equal(distributionOf(""), "");
});

it("tells all problems in one message", () => {
    assert.equal(
        problemMessage([
            { what: "no Docker", todo: "Install it" },
            { what: "no Rust", todo: "Install that" },
        ]),
        "Some things are missing on this machine:\n" +
            "  - no Docker\n    Install it\n  - no Rust\n    Install that\n" +
            "Nothing was changed. `npm run doctor` shows every tool.",
    );
});

describe("the doctor's table", () => {
    const tools = Object.fromEntries(
        TOOLS.map((name): [string, InspectedTool] => [
            name,
            { name, decision: { from: "get" }, release: releaseOf(name, "linux-amd64") },
        ]),
    ) as Inspection["tools"];
    const inspection: Inspection = {
        tools,
        docker: { client: "docker", daemon: version("28.2.2") },
        images: {
            node: { image: NODE_IMAGE, state: "absent" },
            registry: { image: REGISTRY_IMAGE, state: "airgap" },
        },
        rust,
    };
    const facts: Facts = {
        inspection,
        host: debianRoot,
        nodeVersion: "20.20.2",
        source: "official",
        because: "github.com answers",
        airgapMissing: [],
    };
    const row = (of: Facts, tool: string) => diagnose(of).find((one) => one.tool === tool);

    it("shows each tool once", () => {
        assert.deepEqual(
            diagnose(facts).map(({ tool }) => tool),
            [
                "node",
                "docker",
                "rust",
                "rust wasm32-wasip1",
                "rust wasm32-wasip2",
                "krustlet-wasi, krustlet-approver, krustlet-supervisor, wasm-oci",
                "pulumi",
                "plugin command",
                "plugin kubernetes",
                "plugin docker",
                "kind",
                "kubectl",
                "image kindest/node",
                "image registry",
            ],
        );
        assert.deepEqual(problemsOf(diagnose(facts)), []);
    });
    it("says where the targets of the workloads come from", () => {
        const of = (known: InspectedRust) => ({ ...facts, inspection: { ...inspection, rust: known } });
        const one = { ...rust, wasiTargets: ["wasm32-wasip1"] as const };
        assert.equal(row(of(one), "rust wasm32-wasip1")?.decision, "here");
        assert.equal(row(of(one), "rust wasm32-wasip2")?.decision, "not here; will be added with rustup");
        assert.equal(
            row(of({ ...one, rustup: undefined }), "rust wasm32-wasip2")?.decision,
            "not here; components alone need it",
        );
    });
    it("says what a download is verified with", () => {
        assert.equal(
            row(facts, "kind")?.decision,
            "not here; will be downloaded (verified with pinned SHA-256)",
        );
        assert.equal(
            row(facts, "plugin docker")?.decision,
            "not here; will be downloaded (verified with the publisher's checksum file: none is pinned)",
        );
        assert.equal(
            row(facts, "image kindest/node")?.decision,
            "not in Docker; will be pulled by its digest, sha256:099e04936…".replace(
                "099e04936…",
                `${NODE_IMAGE.digest.slice(7, 19)}…`,
            ),
        );
        assert.equal(row(facts, "image registry")?.decision, "in Docker, air-gapped build");
    });
    it("tells one problem once, however many tools have it", () => {
        const cut: Facts = {
            ...facts,
            source: "airgap",
            because: "github.com cannot be reached",
            airgapMissing: ["Go is not on PATH."],
        };
        assert.equal(row(cut, "pulumi")?.decision, "not here; will be built from packages");
        assert.equal(problemsOf(diagnose(cut)).length, 1);
        assert.match(problemsOf(diagnose(cut))[0].what, /github.com cannot be reached.*Go is not on PATH/);
    });
    it("shows what was passed over on PATH", () => {
        const passedOver = "/usr/bin/kubectl is 1.32.4; needed: within one minor version of v1.36.4";
        const decision = { from: "cache", source: "airgap", dir: "/cache/kubectl", passedOver } as const;
        const seen: Facts = {
            ...facts,
            inspection: { ...inspection, tools: { ...tools, kubectl: { name: "kubectl", decision } } },
        };
        assert.deepEqual(row(seen, "kubectl"), {
            tool: "kubectl",
            version: "v1.36.4",
            decision: `cache, air-gapped build: /cache/kubectl; ${passedOver}`,
        });
    });
});
