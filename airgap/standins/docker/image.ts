// docker:index/remoteImage:RemoteImage: an image that is on the machine, pulled if need be.
import type { Props } from "../lib/values";
import { listAt, textAt } from "../lib/values";
import type { Docker } from "./api";
import { parseImageName } from "./api";
import type { Live, ResourceType } from "./types";

async function read(docker: Docker, _id: string, known: Props): Promise<Live | undefined> {
    const name = textAt(known, "name");
    const image = await docker.image(name);
    return image && live(image, name);
}

function live(image: Props, name: string): Live {
    const imageId = textAt(image, "Id");
    return { id: imageId + name, outputs: { name, imageId, repoDigest: repoDigest(image, name) } };
}

/** The digest by which the registry of that name knows the image; empty for an image that no registry knows. */
function repoDigest(image: Props, name: string): string {
    const digests = listAt(image, "RepoDigests").map(String);
    const { repository } = parseImageName(name);
    return (
        digests.find((digest) => digest.startsWith(`${repository}@`)) ??
        (digests.length === 1 ? digests[0] : "")
    );
}

export const remoteImage: ResourceType = {
    fields: {
        name: { type: "string", required: true, replaces: true },
        keepLocally: { type: "boolean" },
        forceRemove: { type: "boolean" },
        platform: { type: "string", default: "", replaces: true },
        pullTriggers: { type: "strings", set: true, replaces: true },
        triggers: { type: "map", replaces: true },
    },
    computed: ["imageId", "repoDigest"],
    autonamed: false,
    deleteBeforeReplace: false,
    schemaVersion: 0,
    async create(docker, args) {
        const name = textAt(args, "name");
        const image = await docker.imageOrPull(name, textAt(args, "platform")).catch((err: Error) => {
            throw new Error(`Unable to read Docker image into resource: ${err.message}`);
        });
        return live(image, name);
    },
    read,
    update: () => Promise.resolve(), // keepLocally and forceRemove are only read at the delete
    async delete(docker, _id, state) {
        const name = textAt(state, "name");
        if (state.keepLocally === true || (await docker.image(name)) === undefined) {
            return;
        }
        await docker
            .json("DELETE", `/images/${name}?force=${state.forceRemove === true}`)
            .catch((err: Error) => {
                throw new Error(`Unable to remove Docker image: ${err.message}`);
            });
    },
};
