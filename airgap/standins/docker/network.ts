// docker:index/network:Network
import type { Props, Value } from "../lib/values";
import { at, isProps, listAt, textAt } from "../lib/values";
import type { Docker } from "./api";
import { DockerError } from "./api";
import { labelsField, labelsToMap, mapToLabels } from "./labels";
import { retryWhile } from "./retry";
import type { Live, ResourceType } from "./types";

/** Argument names of an address range, and Docker's. */
const ipamNames: [string, string][] = [
    ["subnet", "Subnet"],
    ["ipRange", "IPRange"],
    ["gateway", "Gateway"],
    ["auxAddress", "AuxiliaryAddresses"],
];

function rename(from: Value, names: [string, string][]): Props {
    const pairs = names.map(([target, source]): [string, Value | undefined] => [target, at(from, source)]);
    return Object.fromEntries(
        pairs.filter((pair): pair is [string, Value] => pair[1] !== undefined && pair[1] !== ""),
    );
}

async function read(docker: Docker, id: string): Promise<Live | undefined> {
    const found = await docker.find(`/networks/${encodeURIComponent(id)}`);
    if (found === undefined) {
        return undefined;
    }
    const map = (value: Value | undefined): Props => (isProps(value) ? value : {});
    const outputs: Props = {
        name: textAt(found, "Name"),
        labels: mapToLabels(found.Labels),
        driver: textAt(found, "Driver"),
        internal: found.Internal === true,
        attachable: found.Attachable === true,
        ingress: found.Ingress === true,
        ipv6: found.EnableIPv6 === true,
        ipamDriver: textAt(found, "IPAM", "Driver"),
        ipamOptions: map(at(found, "IPAM", "Options")),
        ipamConfigs: listAt(found, "IPAM", "Config").map((config) => rename(config, ipamNames)),
        options: map(found.Options),
        scope: textAt(found, "Scope"),
    };
    return { id: textAt(found, "Id"), outputs };
}

export const network: ResourceType = {
    fields: {
        name: { type: "string", required: true, replaces: true },
        labels: labelsField,
        driver: { type: "string", replaces: true, computed: true },
        options: { type: "map", replaces: true, computed: true },
        internal: { type: "boolean", replaces: true, computed: true },
        attachable: { type: "boolean", replaces: true },
        ingress: { type: "boolean", replaces: true },
        ipv6: { type: "boolean", replaces: true },
        ipamDriver: { type: "string", default: "default", replaces: true },
        ipamOptions: { type: "map", replaces: true },
        ipamConfigs: {
            type: "objects",
            set: true,
            replaces: true,
            computed: true,
            fields: {
                subnet: { type: "string" },
                ipRange: { type: "string" },
                gateway: { type: "string", computed: true },
                auxAddress: { type: "map" },
            },
        },
    },
    computed: ["scope"],
    autonamed: true,
    deleteBeforeReplace: false,
    schemaVersion: 1,
    async create(docker, args) {
        const toDocker = ipamNames.map(([ours, theirs]): [string, string] => [theirs, ours]);
        const created = await docker
            .json("POST", "/networks/create", {
                Name: textAt(args, "name"),
                CheckDuplicate: true,
                Driver: textAt(args, "driver") || "bridge",
                Internal: args.internal === true,
                Attachable: args.attachable === true,
                Ingress: args.ingress === true,
                EnableIPv6: args.ipv6 === true,
                Options: isProps(args.options) ? args.options : {},
                Labels: labelsToMap(args),
                IPAM: {
                    Driver: textAt(args, "ipamDriver") || "default",
                    Options: isProps(args.ipamOptions) ? args.ipamOptions : {},
                    Config: listAt(args, "ipamConfigs").map((config) => rename(config, toDocker)),
                },
            })
            .catch((err: Error) => {
                throw new Error(`Unable to create network: ${err.message}`);
            });
        const live = await read(docker, textAt(created, "Id"));
        if (live === undefined) {
            throw new Error(`network ${textAt(args, "name")} was gone right after its creation`);
        }
        return live;
    },
    read,
    async delete(docker, id) {
        await retryWhile(
            (err) => err instanceof DockerError && err.message.includes("has active endpoints"),
            () => docker.json("DELETE", `/networks/${encodeURIComponent(id)}`),
        );
    },
};
