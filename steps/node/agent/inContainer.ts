// What of this host an agent has in its container.
import { stat } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import type { NodeInput } from "../../contract";
import { containerName, shutIn, type ContainerPlace, type Mount } from "../daemon/container";
import { StepError } from "../../lib/errors";
import { expandHome } from "../../lib/files";
import { agentFiles } from "./agent";

/** Authorities that this host trusts, and what its node says of it. */
const hostFiles = [
    "/etc/ssl/certs",
    "/usr/share/ca-certificates",
    "/usr/local/share/ca-certificates",
    "/etc/pki/tls/certs",
    "/etc/pki/ca-trust",
    "/etc/machine-id",
    "/etc/os-release",
];

/** The container that a node's agent is to run in, which may ask for routes by `podRoutes`; undefined: it is a process of this host's. */
export async function agentPlace(
    input: NodeInput,
    environment: NodeJS.ProcessEnv,
    podRoutes?: string,
): Promise<ContainerPlace | undefined> {
    const { network, owner, nodeName } = input;
    if (network === undefined) return undefined;
    const { stateDir } = agentFiles(input.stateDir);
    return {
        name: containerName(owner, nodeName, "agent"),
        ...{ network, owner, stateDir, part: "agent" as const },
        // The agent finds its address by its host's name, which its node has too.
        ...(await shutIn(await mountsOf(input, stateDir, environment), nodeName, podRoutes)),
    };
}

async function mountsOf(
    input: NodeInput,
    stateDir: string,
    environment: NodeJS.ProcessEnv,
): Promise<Mount[]> {
    for (const path of input.allowedHostPaths ?? []) {
        if (await isThere(path)) continue;
        throw new StepError(
            `KrustletNode "${input.nodeName}": allowedHostPaths: there is no ${path}, which its container is to have; make it first`,
        );
    }
    // Files that are written anew by a rename stay the old ones in a container: of those that are read again it has the folder.
    const logins =
        input.dockerConfigFile === undefined
            ? (environment.DOCKER_CONFIG ?? join(expandHome("~"), ".docker"))
            : dirname(expandHome(input.dockerConfigFile));
    checkLogins(resolve(logins), input.nodeName);
    const files = [input.trustedCaFile, environment.SSL_CERT_FILE, environment.SSL_CERT_DIR, logins];
    const given = files.flatMap((path) => (path ? [resolve(expandHome(path))] : []));
    const read = [...new Set([...hostFiles, ...given])];
    const there = await Promise.all(read.map(isThere));
    const written = [stateDir, ...(input.allowedHostPaths ?? [])];
    return [
        ...written.map((path) => ({ path, readOnly: false })),
        ...read
            .filter((path, index) => there[index] && !written.includes(path))
            .map((path) => ({ path, readOnly: true })),
    ];
}

/** A container has the whole folder of the logins, which therefore must hold nothing else. */
function checkLogins(folder: string, nodeName: string): void {
    const home = resolve(expandHome("~"));
    if (folder !== "/" && home !== folder && !home.startsWith(`${folder}/`)) return;
    throw new StepError(
        `KrustletNode "${nodeName}": dockerConfigFile (or DOCKER_CONFIG): a node in a container has the file's whole folder, and ${folder} is not ` +
            "for it alone; put the file into a folder of its own, such as ~/logins/config.json",
    );
}

function isThere(path: string): Promise<boolean> {
    return stat(path).then(
        () => true,
        () => false,
    );
}
