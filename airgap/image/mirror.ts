// Where this machine gets Debian packages from: asked of its own apt, so that no mirror is written into a file here.
import { run } from "../../steps/lib/run";

/** Names a Debian mirror for the node image where apt knows none (on Ubuntu, say). */
export const MIRROR_VARIABLE = "KRUSTLET_STACK_DEBIAN_MIRROR";

/** What `apt-get indextargets` is asked to print, for `parseMirror`. */
export const INDEX_FORMAT = "$(ORIGIN)|$(LABEL)|$(COMPONENT)|$(CREATED_BY)|$(REPO_URI)";

/** The Debian mirror in what `apt-get indextargets --format INDEX_FORMAT` printed, or undefined when there is none. */
export function parseMirror(text: string): string | undefined {
    for (const line of text.split("\n")) {
        const [origin, label, component, createdBy, uri] = line.trim().split("|");
        // The security archive (label Debian-Security) and third parties do not hold the whole distribution.
        if (origin === "Debian" && label === "Debian" && component === "main" && createdBy === "Packages")
            return uri;
    }
    return undefined;
}

/** This machine's Debian mirror. `refresh` reads the package lists (apt knows an archive's origin only then). */
export async function debianMirror(refresh: () => Promise<unknown>): Promise<string> {
    const named = process.env[MIRROR_VARIABLE];
    if (named) return named;
    const ask = async () =>
        parseMirror(
            (await run(["apt-get", "indextargets", "--format", INDEX_FORMAT], { allowFailure: true })).stdout,
        );
    let mirror = await ask();
    if (mirror === undefined) {
        await refresh();
        mirror = await ask();
    }
    if (mirror === undefined) {
        throw new Error(
            `the node image is made from Debian packages, and apt on this machine knows no Debian mirror: ` +
                `set ${MIRROR_VARIABLE} to the URI of one.`,
        );
    }
    return mirror;
}
