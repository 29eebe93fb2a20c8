import { object } from "../lib/schema";
import { step } from "../lib/step";

/** Undoes what left nothing but a note for the looks: `step` forgets that. */
export function forget(): Promise<Record<string, never>> {
    return Promise.resolve({});
}

/** Whatever its opposite had. */
const anything = Object.assign(() => [], { fields: {}, allowed: "anything" });

step(module, "forget", anything as ReturnType<typeof object<object>>, forget);
