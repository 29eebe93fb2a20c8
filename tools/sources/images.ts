import { ensureDocker, ensureImage } from "./airgap";
import { run } from "../../steps/lib/run";
import { imageTag, inspectImage, type ImageName } from "../toolchain/inspect";
import { allOrFirstError, type Plan } from "../toolchain/plan";
import { canBuild } from "./source";
import type { PinnedImage } from "../../common/versions";

/** Sees to it that Docker answers and has the node image and the registry image. */
export async function readyImages(plan: Plan): Promise<void> {
    const { images, docker } = plan.inspection;
    if (!docker.daemon) {
        await ensureDocker(plan.make);
        [images.node, images.registry] = await Promise.all([
            inspectImage("node", images.node.image),
            inspectImage("registry", images.registry.image),
        ]);
    }
    await allOrFirstError([readyImage("registry", plan), readyImage("node", plan)]);
}

async function readyImage(which: ImageName, plan: Plan): Promise<void> {
    const { image, state } = plan.inspection.images[which];
    if (state === "official" || state === "airgap" || state === "other") return;
    const { source } = await plan.choice.get();
    if (state === "absent" && source === "official" && (await pull(image, plan))) return;
    await plan.inTurn(() => ensureImage(which, imageTag(image), plan.make));
    plan.inspection.images[which] = { image, state: "airgap" };
}

/** Pulls an image by its digest; false when it cannot be had and an air-gapped build may take its place. */
async function pull(image: PinnedImage, plan: Plan): Promise<boolean> {
    const tag = imageTag(image);
    const byDigest = `${image.name}@${image.digest}`;
    const progress = plan.report.start(`image ${tag}, pulled by its digest`);
    try {
        await run(["docker", "pull", "--quiet", byDigest], { timeoutSeconds: 1800 });
        await run(["docker", "tag", byDigest, tag]);
        progress.done();
        return true;
    } catch (error) {
        const message = error instanceof Error ? error.message : String(error);
        progress.fail("it could not be pulled");
        if (plan.choice.forced || !(await canBuild())) {
            throw new Error(`Image ${tag} cannot be had: ${message}`, { cause: error });
        }
        const last = message.trim().split("\n").pop();
        plan.report.warn(`Image ${tag} cannot be pulled (${last}). It is built from packages instead.`);
        return false;
    }
}
