// docker:index/volume:Volume
import type { Props } from "../lib/values";
import { at, isProps, textAt } from "../lib/values";
import type { Docker } from "./api";
import { DockerError } from "./api";
import { labelsField, labelsToMap, mapToLabels } from "./labels";
import { retryWhile } from "./retry";
import type { Live, ResourceType } from "./types";

async function read(docker: Docker, id: string): Promise<Live | undefined> {
    const found = await docker.find(`/volumes/${encodeURIComponent(id)}`);
    if (found === undefined) {
        return undefined;
    }
    const options = at(found, "Options");
    const outputs: Props = {
        name: textAt(found, "Name"),
        driver: textAt(found, "Driver"),
        mountpoint: textAt(found, "Mountpoint"),
        labels: mapToLabels(found.Labels),
        driverOpts: isProps(options) ? options : {},
    };
    return { id: textAt(found, "Name"), outputs };
}

export const volume: ResourceType = {
    fields: {
        name: { type: "string", replaces: true, computed: true },
        driver: { type: "string", replaces: true, computed: true },
        driverOpts: { type: "map", replaces: true },
        labels: labelsField,
    },
    computed: ["mountpoint"],
    autonamed: true,
    deleteBeforeReplace: false,
    schemaVersion: 1,
    async create(docker, args) {
        const created = await docker
            .json("POST", "/volumes/create", {
                Name: textAt(args, "name"),
                Driver: textAt(args, "driver") || "local",
                DriverOpts: isProps(args.driverOpts) ? args.driverOpts : {},
                Labels: labelsToMap(args),
            })
            .catch((err: Error) => {
                throw new Error(`Unable to create volume: ${err.message}`);
            });
        const live = await read(docker, textAt(created, "Name"));
        if (live === undefined) {
            throw new Error(`volume ${textAt(created, "Name")} was gone right after its creation`);
        }
        return live;
    },
    read,
    async delete(docker, id) {
        await retryWhile(
            (err) => err instanceof DockerError && err.status === 409, // a container that is being removed still holds it
            () => docker.json("DELETE", `/volumes/${encodeURIComponent(id)}`),
        );
    },
};
