// Removing something that its last user is just letting go of.
import { DockerError } from "./api";

/** Tries for half a minute while the error is of that sort. That the thing is gone counts as success. */
export async function retryWhile(
    passing: (err: unknown) => boolean,
    attempt: () => Promise<unknown>,
): Promise<void> {
    const deadline = Date.now() + 30_000;
    for (;;) {
        try {
            await attempt();
            return;
        } catch (err) {
            if (err instanceof DockerError && err.status === 404) {
                return;
            }
            if (!passing(err) || Date.now() > deadline) {
                throw err;
            }
            await new Promise((resolve) => setTimeout(resolve, 500));
        }
    }
}
