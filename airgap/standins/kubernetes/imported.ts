// Inputs for an object that the program has no inputs for yet, as `pulumi import` and `Resource.get` read it.
import type { Props } from "../lib/values";
import { clone, removeAt } from "../lib/values";

const serverMetadata = ["creationTimestamp", "generation", "managedFields", "resourceVersion", "uid"];
const serverAnnotations = [
    "deployment.kubernetes.io/revision",
    "kubectl.kubernetes.io/last-applied-configuration",
];

/** The live object without what only the API server and its controllers write. */
export function importedInputs(live: Props): Props {
    const inputs = clone(live);
    delete inputs.status;
    for (const field of serverMetadata) {
        removeAt(inputs, "metadata", field);
    }
    for (const name of serverAnnotations) {
        removeAt(inputs, "metadata", "annotations", name);
    }
    return inputs;
}
