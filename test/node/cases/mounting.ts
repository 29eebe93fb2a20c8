// What the cases about volumes have in common.
import type { Container, PodSpec } from "../lib/pod";
import type { Case } from "../runCase";

/** A pod's one volume, named `v`. */
export const volume = (source: object, name = "v") =>
    ({ volumes: [{ name, ...source }] }) as Partial<PodSpec>;
/** Where it is mounted. */
export const at = (mountPath: string, more: object = {}): Partial<Container> => ({
    volumeMounts: [{ name: "v", mountPath, ...more }],
});

/** A pod whose program reads its one volume and ends well. */
export function reads(
    name: string,
    source: object,
    args: string[],
    log: string,
    more: Partial<Case> & { mount?: object } = {},
): Case {
    const { mount, ...rest } = more;
    return {
        name,
        args,
        main: at("/v", mount),
        spec: volume(source),
        expect: { phase: "Succeeded", log },
        ...rest,
    };
}
