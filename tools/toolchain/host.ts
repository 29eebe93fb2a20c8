import * as fs from "node:fs/promises";
import { run } from "../../steps/lib/run";
import type { Host } from "./advice";

/** ID and ID_LIKE out of the text of /etc/os-release. */
export function distributionOf(osRelease: string): string {
    return ["ID", "ID_LIKE"]
        .map((key) => new RegExp(`^${key}=["']?([^"'\n]*)`, "m").exec(osRelease)?.[1] ?? "")
        .join(" ")
        .trim();
}

async function dockerContextIsRemote(env: NodeJS.ProcessEnv): Promise<boolean> {
    if (env.DOCKER_HOST) return !env.DOCKER_HOST.startsWith("unix:///var/run/docker.sock");
    const shown = await run(["docker", "context", "show"], { allowFailure: true, timeoutSeconds: 10 }).catch(
        () => undefined,
    );
    return shown?.exitCode === 0 && shown.stdout.trim() !== "" && shown.stdout.trim() !== "default";
}

/** Finds out what this machine is. */
export async function inspectHost(env: NodeJS.ProcessEnv = process.env): Promise<Host> {
    const [osRelease, remoteDocker] = await Promise.all([
        fs.readFile("/etc/os-release", "utf8").catch(() => ""),
        dockerContextIsRemote(env),
    ]);
    return {
        os: process.platform,
        isRoot: process.getuid?.() === 0,
        distribution: distributionOf(osRelease),
        remoteDocker,
    };
}
