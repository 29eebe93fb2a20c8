// docker:index/container:Container
import * as fs from "node:fs";
import type { Props, Value } from "../lib/values";
import { at, isProps, listAt, numberAt, textAt, textOf } from "../lib/values";
import type { Docker } from "./api";
import { DockerError } from "./api";
import { createBody, duration, endpoint, updateBody } from "./containerConfig";
import { containerFields } from "./containerFields";
import { tarFile } from "./tar";
import { IncompleteError, type Live, type ResourceType } from "./types";

const inPlace = [
    "restart",
    "maxRetryCount",
    "cpuShares",
    "memory",
    "memoryReservation",
    "cpuSet",
    "memorySwap",
];

async function create(docker: Docker, args: Props): Promise<Live> {
    if (args.attach === true) {
        throw new Error("the air-gapped stand-in of the docker plugin does not serve attach of a container");
    }
    const image = textAt(args, "image");
    await docker.imageOrPull(image).catch((err: Error) => {
        throw new Error(`Unable to create container with image ${image}: ${err.message}`);
    });
    const name = textAt(args, "name");
    const created = await docker
        .json("POST", `/containers/create?name=${encodeURIComponent(name)}`, createBody(args))
        .catch((err: Error) => {
            throw new Error(`Unable to create container: ${err.message}`);
        });
    const id = textAt(created, "Id");
    try {
        await connect(docker, id, args);
        await upload(docker, id, args);
        if (args.start !== false) {
            await docker.json("POST", `/containers/${id}/start`).catch((err: Error) => {
                throw new Error(`Unable to start container: ${err.message}`);
            });
            await waitHealthy(docker, id, args);
        }
    } catch (err) {
        const live = await read(docker, id, args);
        if (live === undefined) {
            throw err;
        }
        throw new IncompleteError((err as Error).message, live);
    }
    const live = await read(docker, id, args);
    if (live === undefined) {
        throw new Error(`container ${name} was gone right after its start`);
    }
    return live;
}

/** Puts the container into its networks, and out of the default one. */
async function connect(docker: Docker, id: string, args: Props): Promise<void> {
    const networks = listAt(args, "networksAdvanced");
    if (networks.length === 0) {
        return;
    }
    await docker.json("POST", "/networks/bridge/disconnect", { Container: id }).catch((err: Error) => {
        if (!/is not connected to/.test(err.message)) {
            throw new Error(`Unable to disconnect the default network: ${err.message}`);
        }
    });
    for (const network of networks) {
        const name = textAt(network, "name");
        const body = { Container: id, EndpointConfig: endpoint(network) };
        await docker
            .json("POST", `/networks/${encodeURIComponent(name)}/connect`, body)
            .catch((err: Error) => {
                throw new Error(`Unable to connect to network '${name}': ${err.message}`);
            });
    }
}

async function upload(docker: Docker, id: string, args: Props): Promise<void> {
    for (const file of listAt(args, "uploads")) {
        const sources = ["content", "contentBase64", "source"].filter((key) => textAt(file, key) !== "");
        if (sources.length !== 1) {
            throw new Error(
                "error with upload content: exactly one of 'content', 'contentBase64' or 'source' must be set",
            );
        }
        const given = textAt(file, sources[0]);
        const content =
            sources[0] === "source"
                ? fs.readFileSync(given)
                : Buffer.from(given, sources[0] === "content" ? "utf8" : "base64");
        const mode = textAt(file, "permissions") || (at(file, "executable") === true ? "744" : "644");
        const archive = tarFile(textAt(file, "file"), Number.parseInt(mode, 8), content);
        await docker.raw("PUT", `/containers/${id}/archive?path=/`, archive, {
            "content-type": "application/x-tar",
        });
    }
}

async function waitHealthy(docker: Docker, id: string, args: Props): Promise<void> {
    if (args.wait !== true) {
        return;
    }
    const deadline = Date.now() + (numberAt(args, "waitTimeout") ?? 60) * 1000;
    for (;;) {
        const health = at(await docker.json("GET", `/containers/${id}/json`), "State", "Health");
        if (!isProps(health)) {
            throw new Error(
                "`wait` is set, but the container has no healthcheck: remove `wait` or add `healthcheck`",
            );
        }
        if (health.Status === "healthy") {
            return;
        }
        if (Date.now() > deadline) {
            throw new Error("container failed to be in healthy state");
        }
        await new Promise((resolve) => setTimeout(resolve, 500));
    }
}

async function read(docker: Docker, id: string, known: Props): Promise<Live | undefined> {
    const found = await docker.find(`/containers/${encodeURIComponent(id)}/json`);
    return found && { id: textAt(found, "Id"), outputs: outputsOf(found, known) };
}

/** The outputs that Docker tells. Environment and labels are left as given: the image's own are among Docker's. */
export function outputsOf(found: Props, known: Props): Props {
    const config = (...path: string[]): Value | undefined => at(found, "Config", ...path) ?? undefined;
    const host = (...path: string[]): Value | undefined => at(found, "HostConfig", ...path) ?? undefined;
    const running = at(found, "State", "Running") === true;
    const mustRun = known.mustRun !== false;
    const outputs: Record<string, Value | undefined> = {
        name: textAt(found, "Name").replace(/^\//, ""),
        // An image that is given by its id is compared with the id, any other with the name.
        image: textAt(known, "image").startsWith("sha256:") ? found.Image : config("Image"),
        bridge: textAt(found, "NetworkSettings", "Bridge"),
        networkDatas: networkDatas(at(found, "NetworkSettings", "Networks")),
        hostname: config("Hostname"),
        domainname: config("Domainname"),
        user: config("User"),
        workingDir: config("WorkingDir"),
        command: config("Cmd") ?? [],
        entrypoints: listOf(config("Entrypoint")),
        tty: config("Tty"),
        stdinOpen: config("OpenStdin"),
        stopSignal: config("StopSignal"),
        stopTimeout: config("StopTimeout"),
        healthcheck: healthcheckOf(config("Healthcheck")),
        rm: host("AutoRemove"),
        readOnly: host("ReadonlyRootfs"),
        privileged: host("Privileged"),
        publishAllPorts: host("PublishAllPorts"),
        init: host("Init") === true,
        restart: host("RestartPolicy", "Name") || "no",
        maxRetryCount: host("RestartPolicy", "MaximumRetryCount"),
        runtime: host("Runtime"),
        networkMode: host("NetworkMode"),
        dns: listOf(host("Dns")),
        dnsOpts: listOf(host("DnsOptions")),
        dnsSearches: listOf(host("DnsSearch")),
        hosts: listOf(host("ExtraHosts")).map((entry) => {
            const [name, ...ip] = textOf(entry).split(":");
            return { host: name, ip: ip.join(":") };
        }),
        securityOpts: listOf(host("SecurityOpt")),
        groupAdds: listOf(host("GroupAdd")),
        ipcMode: host("IpcMode"),
        pidMode: host("PidMode"),
        usernsMode: host("UsernsMode"),
        logDriver: host("LogConfig", "Type"),
        logOpts: known.logOpts === undefined ? undefined : host("LogConfig", "Config"),
        tmpfs: host("Tmpfs"),
        memory: megabytes(host("Memory")),
        memoryReservation: megabytes(host("MemoryReservation")),
        memorySwap: megabytes(host("MemorySwap")),
        shmSize: megabytes(host("ShmSize")),
        cpuShares: host("CpuShares"),
        cpuSet: host("CpusetCpus"),
        exitCode: running ? undefined : at(found, "State", "ExitCode"),
        // A container that stopped, but must run, shows as a change of this argument.
        mustRun: mustRun && running,
        ports: running || mustRun ? portsOf(at(found, "NetworkSettings", "Ports")) : undefined,
    };
    return Object.fromEntries(
        Object.entries(outputs).filter((entry): entry is [string, Value] => entry[1] !== undefined),
    );
}

function listOf(value: Value | undefined): Value[] {
    return Array.isArray(value) ? value : [];
}

function megabytes(value: Value | undefined): number | undefined {
    if (typeof value !== "number") return undefined;
    return value > 0 ? Math.floor(value / 1024 / 1024) : value;
}

function portsOf(ports: Value | undefined): Value[] {
    const entries = isProps(ports) ? Object.entries(ports) : [];
    return entries
        .map(([key, bindings]) => ({
            internal: Number(key.split("/")[0]),
            protocol: key.split("/")[1],
            bindings,
        }))
        .sort((a, b) => a.internal - b.internal)
        .flatMap(({ internal, protocol, bindings }) =>
            listOf(bindings).map((binding) => ({
                internal,
                external: Number(textAt(binding, "HostPort")),
                ip: textAt(binding, "HostIp"),
                protocol,
            })),
        );
}

function networkDatas(networks: Value | undefined): Value[] {
    return Object.entries(isProps(networks) ? networks : {}).map(([networkName, data]) => ({
        networkName,
        ipAddress: textAt(data, "IPAddress"),
        ipPrefixLength: numberAt(data, "IPPrefixLen") ?? 0,
        gateway: textAt(data, "Gateway"),
        globalIpv6Address: textAt(data, "GlobalIPv6Address"),
        globalIpv6PrefixLength: numberAt(data, "GlobalIPv6PrefixLen") ?? 0,
        ipv6Gateway: textAt(data, "IPv6Gateway"),
        macAddress: textAt(data, "MacAddress"),
    }));
}

function healthcheckOf(value: Value | undefined): Value | undefined {
    if (!isProps(value)) {
        return undefined;
    }
    const time = (key: string): string => duration(numberAt(value, key) ?? 0);
    return {
        tests: listOf(value.Test),
        interval: time("Interval"),
        timeout: time("Timeout"),
        startPeriod: time("StartPeriod"),
        startInterval: time("StartInterval"),
        retries: numberAt(value, "Retries") ?? 0,
    };
}

async function update(
    docker: Docker,
    id: string,
    olds: Props,
    news: Props,
    changed: ReadonlySet<string>,
): Promise<void> {
    if (olds.mustRun === false && news.mustRun === true && news.start !== false) {
        await docker.json("POST", `/containers/${id}/start`).catch((err: Error) => {
            throw new Error(`Unable to start container: ${err.message}`);
        });
    }
    if (inPlace.some((name) => changed.has(name))) {
        await docker.json("POST", `/containers/${id}/update`, updateBody(news)).catch((err: Error) => {
            throw new Error(`Unable to update a container: ${err.message}`);
        });
    }
}

async function remove(docker: Docker, id: string, state: Props): Promise<void> {
    const gone = (err: unknown): boolean =>
        err instanceof DockerError && (err.status === 404 || err.message.includes("is already in progress"));
    const grace = numberAt(state, "destroyGraceSeconds") ?? 0;
    const removeVolumes = state.removeVolumes !== false;
    try {
        await docker.json("POST", `/containers/${id}/stop?t=${grace}`);
        await docker.json("DELETE", `/containers/${id}?force=true&v=${removeVolumes}`);
    } catch (err) {
        if (!gone(err)) {
            throw new Error(`Error deleting container ${id}: ${(err as Error).message}`);
        }
    }
    // With `rm`, or when somebody else removes it too, it may take a moment until its name and ports are free.
    while ((await docker.find(`/containers/${id}/json`)) !== undefined) {
        await new Promise((resolve) => setTimeout(resolve, 100));
    }
}

export const container: ResourceType = {
    fields: containerFields,
    computed: ["bridge", "containerLogs", "exitCode", "networkDatas"],
    autonamed: true,
    deleteBeforeReplace: true,
    schemaVersion: 2,
    create,
    read,
    update,
    delete: remove,
};
