// What the tests of a stack share.
import type { Registered } from "../mocks";

export const hello = { name: "hello-wasm", source: "workloads/hello-world" };

/** A Command, as others wait for it. */
export const command = (name: string) => `command:local:Command::${name}`;

/** What a step is told. */
export function input(resource: Registered): Record<string, unknown> {
    const { stdin } = resource.inputs;
    return JSON.parse(typeof stdin === "string" ? stdin : (stdin as { secret: string }).secret) as Record<
        string,
        unknown
    >;
}
