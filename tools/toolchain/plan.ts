import type { MakeContext } from "../../common/building";
import type { AirgapTool } from "../sources/airgap";
import type { Inspection } from "./inspect";
import type { Reporter } from "../../common/report";
import type { SourceChoice } from "../sources/source";

/** What has to be got, and from where. */
export interface Plan {
    inspection: Inspection;
    choice: SourceChoice;
    report: Reporter;
    make: MakeContext;
    /**
     * Runs the air-gapped builds one after the other, for what one has compiled the next need not. Cargo's build of the agent goes on
     * beside them: for minutes it has but one crate to compile, as Go at times downloads, or links.
     */
    inTurn: <T>(build: () => Promise<T>) => Promise<T>;
    /** The air-gapped builds that this run has begun. */
    builds: Map<AirgapTool, Promise<string>>;
}

export function oneAfterTheOther(): Plan["inTurn"] {
    let last: Promise<unknown> = Promise.resolve();
    return (build) => {
        const result = last.then(build);
        last = result.catch(() => undefined);
        return result;
    };
}

/** Waits for all, so that nothing goes on behind the error that is shown, then throws the first error. */
export async function allOrFirstError<T extends readonly Promise<unknown>[]>(
    work: T,
): Promise<{ -readonly [K in keyof T]: Awaited<T[K]> }> {
    await Promise.allSettled(work);
    return Promise.all(work);
}
