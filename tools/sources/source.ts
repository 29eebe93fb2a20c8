import { airgapPrerequisites } from "./airgap";
import type { Source } from "../toolchain/decide";
import { probe, type Reach } from "../lib/reach";
import { throughMirror } from "./releases";

/** Where the question whether official releases can be had is put: a small file of the project that kind belongs to. */
const PROBED = "https://github.com/kubernetes-sigs/kind/releases";

/** Decides once a run where tools come from that are not here yet. */
export class SourceChoice {
    private answer?: Promise<{ source: Source; because: string }>;

    constructor(
        readonly forced: Source | undefined,
        private readonly env: NodeJS.ProcessEnv,
    ) {}

    /** Has the question been put in this run? */
    get made(): boolean {
        return this.answer !== undefined;
    }

    get(): Promise<{ source: Source; because: string }> {
        this.answer ??= this.choose();
        return this.answer;
    }

    private async choose(): Promise<{ source: Source; because: string }> {
        if (this.forced) return { source: this.forced, because: `KRUSTLET_STACK_SOURCE=${this.forced}` };
        const reach = await askReach(this.env);
        return { source: reach.reachable ? "official" : "airgap", because: reach.because };
    }
}

/** Can official releases be had? Takes at most 3 seconds. */
export function askReach(env: NodeJS.ProcessEnv = process.env): Promise<Reach> {
    return probe(throughMirror(PROBED, env.KRUSTLET_STACK_MIRROR));
}

/** Has this machine all that the air-gapped builds need? */
export async function canBuild(): Promise<boolean> {
    return (await airgapPrerequisites()).length === 0;
}
