// A Docker daemon on a Debian or Ubuntu host that has none.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import * as fs from "node:fs/promises";
import * as path from "node:path";
import { run } from "../../steps/lib/run";
import { building, type Build, type MakeContext } from "../../common/building";
import { built } from "../go/recipes";
import { aptInstall, onPath } from "./apt";
import { hostMissingCapabilities } from "./capabilities";
import { dockerdArguments, planEngine, type DockerHost, type EnginePlan } from "./host";

/** Where the daemon that is started by hand keeps its log and the runtime; images and containers are in /var/lib/docker. */
export const ENGINE_DIR = "/var/lib/krustlet-stack/docker";
/** The daemon's log. */
export const ENGINE_LOG = path.join(ENGINE_DIR, "dockerd.log");
/** Where dockerd, started by hand, keeps its pid and its containerd's. */
const PID_FILES = {
    dockerd: "/var/run/docker.pid",
    containerd: "/var/run/docker/containerd/containerd.pid",
};

/** How long a daemon may take until it answers. */
const START_SECONDS = 60;

/** Does a daemon answer, at the address that the `docker` command uses? */
export async function dockerAnswers(): Promise<boolean> {
    const result = await run(["docker", "version", "--format", "{{.Server.Version}}"], {
        allowFailure: true,
        timeoutSeconds: 20,
    }).catch(() => undefined);
    return result?.exitCode === 0;
}

async function inspectHost(): Promise<DockerHost> {
    return {
        platform: process.platform,
        uid: process.geteuid?.() ?? -1,
        osRelease: await fs.readFile("/etc/os-release", "utf8").catch(() => ""),
        systemd: existsSync("/run/systemd/system"),
        dockerd: onPath("dockerd"),
        dockerHost: process.env.DOCKER_HOST,
        missingCapabilities: process.platform === "linux" ? await hostMissingCapabilities() : [],
    };
}

/** Installs and starts Docker where no daemon answers. Throws what to do where that is for the user. */
export async function ensureDocker(ctx: MakeContext): Promise<void> {
    if (await dockerAnswers()) return;
    const host = await inspectHost();
    const plan = planEngine(host);
    ctx.report.warn(
        `air-gapped set-up: no Docker daemon answers; ${plan.install ? "installing docker.io and starting" : "starting"} dockerd` +
            (plan.restrictedRuntime
                ? `, with an OCI runtime that leaves out ${host.missingCapabilities.join(", ")}`
                : ""),
    );
    const runtimeDir = plan.restrictedRuntime ? await built("oci-runtime", ctx) : undefined;
    await building(ctx, "docker-engine", "Docker Engine", async (build) => {
        if (plan.install) await install(build);
        if (!(await dockerAnswers())) await start(build, plan, runtimeDir);
    });
}

async function install(build: Build): Promise<void> {
    await aptInstall(build, ["docker.io"]);
    // Debian 13 and later have the client in a package of its own.
    if (!onPath("docker")) await aptInstall(build, ["docker-cli"]);
}

/** Puts the capability-dropping runtime where it outlives the cache. */
async function installRuntime(runtimeDir: string): Promise<string> {
    await fs.mkdir(ENGINE_DIR, { recursive: true, mode: 0o700 });
    const target = path.join(ENGINE_DIR, "oci-runtime");
    // A rename, for the old file may be running.
    await fs.copyFile(path.join(runtimeDir, "oci-runtime"), `${target}.new`);
    await fs.chmod(`${target}.new`, 0o755);
    await fs.rename(`${target}.new`, target);
    return target;
}

async function start(build: Build, plan: EnginePlan, runtimeDir: string | undefined): Promise<void> {
    build.progress.update("starting dockerd");
    if (plan.start === "systemd") {
        await build.run(["systemctl", "start", "docker"]);
        return waitForDaemon("journalctl -u docker", () => undefined);
    }
    await fs.mkdir(ENGINE_DIR, { recursive: true, mode: 0o700 });
    const runtime = runtimeDir === undefined ? undefined : await installRuntime(runtimeDir);
    for (const [command, file] of Object.entries(PID_FILES)) await dropStalePidFile(file, command);
    const log = await fs.open(ENGINE_LOG, "a", 0o600);
    try {
        // A session of its own: it goes on when this process, or the terminal, ends.
        const daemon = spawn("dockerd", dockerdArguments(runtime), {
            cwd: "/",
            detached: true,
            stdio: ["ignore", log.fd, log.fd],
        });
        let ended: string | undefined;
        daemon.on("error", (error) => (ended = error.message));
        daemon.on("exit", (code, signal) => (ended = `dockerd ended with ${signal ?? `exit code ${code}`}`));
        await waitForDaemon(ENGINE_LOG, () => ended);
        daemon.unref();
    } finally {
        await log.close();
    }
}

/**
 * Removes `file`, if no process of `command` has the pid in it. A daemon that was killed leaves it; dockerd would not start
 * while any process or thread, whatever it is, has dockerd's number now, and would wait for ever for one that has containerd's.
 */
export async function dropStalePidFile(file: string, command: string): Promise<void> {
    const pid = (await fs.readFile(file, "utf8").catch(() => "")).trim();
    if (!/^\d+$/.test(pid)) return;
    const name = await fs.readFile(`/proc/${pid}/comm`, "utf8").catch(() => "");
    if (name.trim() !== command) await fs.rm(file, { force: true });
}

/** Waits until the daemon answers, has ended (by `ended`), or has had its time. */
async function waitForDaemon(log: string, ended: () => string | undefined): Promise<void> {
    const deadline = Date.now() + START_SECONDS * 1000;
    while (!(await dockerAnswers())) {
        const reason =
            ended() ??
            (Date.now() > deadline ? `dockerd does not answer after ${START_SECONDS} s` : undefined);
        if (reason !== undefined) throw new Error(`${reason}; its log: ${log}`);
        await new Promise((resolve) => setTimeout(resolve, 200));
    }
}
