import { currentClaim, idOf } from "../../lib/claim";
import { containerNamed, ownerLabel, type Container } from "../../lib/docker";

/** The container of that name, if it bears this stack's claim. */
export async function ownContainer(containerName: string): Promise<Container | undefined> {
    const claim = currentClaim();
    const found = claim && (await containerNamed(containerName));
    return found && idOf(found.Config.Labels?.[ownerLabel] ?? "") === claim.id ? found : undefined;
}
