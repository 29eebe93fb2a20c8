// What a resource type of the docker provider implements.
import type { Props } from "../lib/values";
import type { Docker } from "./api";
import type { Fields } from "./schema";

export interface Live {
    id: string;
    /** The outputs as Docker tells them; those that it does not tell are taken from the inputs. */
    outputs: Props;
}

/** Docker made the object, but it is not as it should be: it is recorded all the same, so that nothing leaks. */
export class IncompleteError extends Error {
    constructor(
        message: string,
        readonly live: Live,
    ) {
        super(message);
    }
}

export interface ResourceType {
    fields: Fields;
    /** Outputs that are no arguments. */
    computed: readonly string[];
    /** Whether a name is made up when none is given. */
    autonamed: boolean;
    /** Whether a replacement deletes first, as names and ports would clash. */
    deleteBeforeReplace: boolean;
    /** The version of the state's shape in the official provider. */
    schemaVersion: number;
    create: (docker: Docker, args: Props) => Promise<Live>;
    /** Undefined when it is gone. `known` is the recorded state, or the inputs right after a create. */
    read: (docker: Docker, id: string, known: Props) => Promise<Live | undefined>;
    /** For types with arguments that change in place. */
    update?: (
        docker: Docker,
        id: string,
        olds: Props,
        news: Props,
        changed: ReadonlySet<string>,
    ) => Promise<void>;
    delete: (docker: Docker, id: string, state: Props) => Promise<void>;
}
