import type { InspectedDocker, InspectedRust } from "./inspect";
import { atLeast, formatVersion } from "../../common/semver";
import { DOCKER_MINIMUM, RUST_MINIMUM } from "../../common/versions";

/** What a machine is, as far as advice depends on it. */
export interface Host {
    os: NodeJS.Platform;
    isRoot: boolean;
    /** ID and ID_LIKE of /etc/os-release: `debian`, `ubuntu debian`. */
    distribution: string;
    /** DOCKER_HOST or a chosen Docker context points elsewhere than to this machine's own daemon. */
    remoteDocker: boolean;
}

/** Something that only the user can put right. */
export interface Problem {
    what: string;
    todo: string;
}

/** May Docker be installed and started here without asking? Only by root, on the distributions that it is known to work on. */
export function canInstallDocker(host: Host): boolean {
    return (
        host.os === "linux" &&
        host.isRoot &&
        !host.remoteDocker &&
        /\b(debian|ubuntu)\b/.test(host.distribution)
    );
}

/** What is wrong with Docker, or undefined when it serves or will be set up. */
export function dockerProblem(docker: InspectedDocker, host: Host): Problem | undefined {
    if (docker.daemon) {
        if (atLeast(docker.daemon, DOCKER_MINIMUM)) return undefined;
        return {
            what: `Docker Engine is ${formatVersion(docker.daemon)}, older than ${DOCKER_MINIMUM}`,
            todo: "Update Docker: https://docs.docker.com/engine/install/",
        };
    }
    if (canInstallDocker(host)) return undefined;
    const what = `no Docker daemon answers (${docker.problem ?? "unknown reason"})`;
    if (docker.problem && /permission denied/i.test(docker.problem)) {
        return {
            what,
            todo: "Add yourself to the docker group and log in again: `sudo usermod -aG docker $USER`",
        };
    }
    if (host.remoteDocker)
        return { what, todo: "DOCKER_HOST is set: start the daemon that it names, or unset it" };
    if (host.os === "darwin")
        return {
            what,
            todo: "Start Docker Desktop (or Colima), or install it: https://docs.docker.com/desktop/",
        };
    const install = /\b(debian|ubuntu)\b/.test(host.distribution)
        ? "Run this once as root (it installs docker.io and starts it), or `sudo apt-get install docker.io`"
        : "Install Docker Engine and start it: https://docs.docker.com/engine/install/";
    return {
        what,
        todo: docker.client
            ? `Start it (\`sudo systemctl start docker\`). If it is not installed: ${install}`
            : install,
    };
}

/** What is wrong with the Rust toolchain, or undefined when it serves or will be completed. */
export function rustProblem(rust: InspectedRust): Problem | undefined {
    const rustup = "Install Rust with rustup: https://rustup.rs";
    if (!rust.cargo || !rust.rustc)
        return { what: "no Rust toolchain (cargo and rustc) on PATH", todo: rustup };
    if (!atLeast(rust.rustc, RUST_MINIMUM)) {
        return {
            what: `Rust is ${formatVersion(rust.rustc)}, older than ${RUST_MINIMUM}`,
            todo: rust.rustup ? "Run `rustup update stable`" : rustup,
        };
    }
    if (!rust.wasiTargets.includes("wasm32-wasip1") && !rust.rustup) {
        return {
            what: "this Rust lacks the target wasm32-wasip1, which the workloads are compiled for",
            todo:
                "Install the distribution's package for it (Debian and Ubuntu: libstd-rust-dev-wasm32; " +
                `Fedora: rust-std-static-wasm32-wasip1), or: ${rustup}`,
        };
    }
    return undefined;
}

/** All problems in one message. */
export function problemMessage(problems: readonly Problem[]): string {
    return [
        problems.length === 1
            ? "Something is missing on this machine:"
            : "Some things are missing on this machine:",
        ...problems.map((problem) => `  - ${problem.what}\n    ${problem.todo}`),
        "Nothing was changed. `npm run doctor` shows every tool.",
    ].join("\n");
}
