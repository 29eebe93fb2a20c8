// minikube: https://minikube.sigs.k8s.io/docs/commands/
import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { basename, join } from "node:path";
import type { LocalClusterInput } from "../../contract";
import { withPrivateFile } from "../../lib/files";
import type { RunResult } from "../../lib/run";
import { mark, markOf, unmark } from "./marks";
import { ask, jsonOf, tell, type LocalTool } from "./tool";

interface Profiles {
    valid?: { Name: string; Status?: string }[] | null;
    /** Those that a start which was cut off has left. */
    invalid?: { Name: string }[] | null;
}

/** minikube's folder of a profile. It is made before the profile is, and goes with it. */
function profileFolder(name: string, home = process.env.MINIKUBE_HOME): string {
    const base = home === undefined || home === "" ? join(homedir(), ".minikube") : home;
    return join(basename(base) === ".minikube" ? base : join(base, ".minikube"), "profiles", name);
}

/** Where there was never a profile, older ones answer with the error that their folder is not there (ENOENT). */
function neverHadAny({ stdout }: RunResult): boolean {
    return /"error":\{[^}]*"Err":2\b/.test(stdout);
}

/** Arguments of `minikube start` for a new cluster. */
export function startArgv(input: LocalClusterInput): string[] {
    const { name, waitSeconds, version, driver, servers = 1, portMappings } = input;
    return [
        "minikube",
        "start",
        `--profile=${name}`,
        "--interactive=false",
        // Whatever profile the user's own commands are about stays so.
        "--keep-context",
        `--wait-timeout=${waitSeconds}s`,
        `--nodes=${servers}`,
        ...(version === undefined ? [] : [`--kubernetes-version=${version}`]),
        ...(driver === undefined ? [] : [`--driver=${driver}`]),
        ...portMappings.map(
            ({ listenAddress, hostPort, containerPort, protocol }) =>
                `--ports=${listenAddress}:${hostPort}:${containerPort}/${protocol.toLowerCase()}`,
        ),
    ];
}

/** Runs minikube where it changes a kubeconfig: a file of ours, or it would be the user's. */
async function withOwnKubeconfig<T>(
    use: (env: Record<string, string>, file: string) => Promise<T>,
): Promise<T> {
    return withPrivateFile(undefined, (file) => use({ KUBECONFIG: file }, file));
}

const removal = (name: string) => ["minikube", "delete", `--profile=${name}`];

export const minikube: LocalTool = {
    component: "MinikubeCluster",
    programs: ["minikube"],
    docker: false,
    async find(name) {
        const argv = ["minikube", "profile", "list", "--output=json"];
        const { valid, invalid } = jsonOf<Profiles>(
            argv,
            await ask(argv, neverHadAny),
            (value) =>
                typeof value === "object" && value !== null && ["valid", "error"].some((key) => key in value),
        );
        const found = valid?.find((profile) => profile.Name === name);
        const isThere = found ?? invalid?.find((profile) => profile.Name === name);
        if (isThere === undefined) return undefined;
        return {
            owner: await markOf(profileFolder(name)),
            // Of any other state the API server tells more. A start would make what is gone anew, with nothing in it.
            running: found !== undefined && !["Stopped", "Paused"].includes(found.Status ?? ""),
        };
    },
    async create(input) {
        await mark(profileFolder(input.name), input.owner);
        await withOwnKubeconfig((env) => tell(startArgv(input), input.waitSeconds + 600, env));
    },
    async start({ name, waitSeconds }) {
        const argv = ["minikube", "start", `--profile=${name}`, "--interactive=false", "--keep-context"];
        await withOwnKubeconfig((env) =>
            tell([...argv, `--wait-timeout=${waitSeconds}s`], waitSeconds + 600, env),
        );
    },
    async remove(name) {
        await withOwnKubeconfig((env) => tell(removal(name), 300, env));
        await unmark(profileFolder(name));
    },
    contextOf: (name) => name,
    kubeconfig: (name) =>
        withOwnKubeconfig(async (env, file) => {
            // It writes what a kubeconfig lacks of the cluster, which is all of it.
            await tell(["minikube", "update-context", `--profile=${name}`], 60, env);
            return readFile(file, "utf8");
        }),
    begins: (name) => [["minikube", "start", `--profile=${name}`]],
    removal,
};
