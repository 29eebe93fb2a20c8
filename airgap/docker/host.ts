// What can be done about Docker on this host: decided from what was found on it, in pure functions.

/** What was found on the host. */
export interface DockerHost {
    platform: NodeJS.Platform;
    /** Effective user id. */
    uid: number;
    /** Text of /etc/os-release; empty when there is none. */
    osRelease: string;
    /** systemd runs here (/run/systemd/system exists). */
    systemd: boolean;
    /** Is there a `dockerd` on PATH? */
    dockerd: boolean;
    /** $DOCKER_HOST, when set: a daemon that the user chose. */
    dockerHost?: string;
    /** Capabilities that the host's bounding set lacks. */
    missingCapabilities: readonly string[];
}

/** What to do about it. */
export interface EnginePlan {
    /** apt-get install docker.io first. */
    install: boolean;
    /** Who starts the daemon. */
    start: "systemd" | "by hand";
    /** Register the capability-dropping OCI runtime. */
    restrictedRuntime: boolean;
}

/** The values of an os-release file (https://www.freedesktop.org/software/systemd/man/os-release.html). */
export function parseOsRelease(text: string): Map<string, string> {
    const values = new Map<string, string>();
    for (const line of text.split("\n")) {
        const match = /^([A-Z0-9_]+)=(.*)$/.exec(line.trim());
        if (match?.[1] !== undefined) values.set(match[1], (match[2] ?? "").replace(/^(["'])(.*)\1$/, "$2"));
    }
    return values;
}

/** Debian, Ubuntu, or something made from them, by its os-release. */
export function isDebianLike(osRelease: string): boolean {
    const values = parseOsRelease(osRelease);
    const names = [values.get("ID"), ...(values.get("ID_LIKE") ?? "").split(/\s+/)];
    return names.includes("debian") || names.includes("ubuntu");
}

/** What to do when no daemon answers. Throws what the user has to do where nothing can be done for them. */
export function planEngine(host: DockerHost): EnginePlan {
    const needed = "krustlet-stack needs a Docker daemon, and none answers";
    if (host.dockerHost) {
        throw new Error(`${needed} at DOCKER_HOST=${host.dockerHost}: start it, or unset DOCKER_HOST.`);
    }
    if (host.platform !== "linux") {
        throw new Error(`${needed}: install Docker Desktop (or another Docker Engine) and start it.`);
    }
    if (host.uid !== 0) {
        throw new Error(
            `${needed} to user ${host.uid}: start Docker (sudo systemctl start docker), let this user use it ` +
                `(sudo usermod -aG docker $USER, then log in again), or run this command as root.`,
        );
    }
    if (!host.dockerd && !isDebianLike(host.osRelease)) {
        const name = parseOsRelease(host.osRelease).get("PRETTY_NAME") ?? "this system";
        throw new Error(
            `${needed}: install Docker Engine and start it. (It is installed by itself on Debian and Ubuntu only; this is ${name}.)`,
        );
    }
    if (host.systemd && host.missingCapabilities.length > 0) {
        throw new Error(
            `${needed}. This host also lacks ${host.missingCapabilities.join(", ")}, so that kind's privileged container needs an ` +
                `OCI runtime that leaves them out; that is set up by itself only where systemd does not run. Run dockerd with ` +
                `--add-runtime and --default-runtime as airgap/README.md shows.`,
        );
    }
    return {
        install: !host.dockerd,
        start: host.systemd ? "systemd" : "by hand",
        restrictedRuntime: host.missingCapabilities.length > 0,
    };
}

/** Name under which the capability-dropping runtime is registered with Docker. */
export const RUNTIME_NAME = "krustlet-stack-restricted";

/** Arguments of dockerd when it is started by hand. */
export function dockerdArguments(runtime: string | undefined): string[] {
    return runtime === undefined
        ? []
        : [`--add-runtime=${RUNTIME_NAME}=${runtime}`, `--default-runtime=${RUNTIME_NAME}`];
}
