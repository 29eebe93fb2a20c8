/** What is measured in several rounds, so that what is compared is measured side by side. */
import { table } from "../../tools/lib/table";

export const ROUNDS = 3;

export const median = (values: number[]) =>
    values.toSorted((one, other) => one - other)[Math.floor(values.length / 2)];

/** A value of each round, by what was measured. */
export class Figures {
    private readonly values = new Map<string, number[]>();

    constructor(
        private readonly unit: string,
        private readonly digits: number,
    ) {}

    note(what: string, value: number): void {
        this.values.set(what, [...(this.values.get(what) ?? []), value]);
        console.log(`  ${what}: ${value.toFixed(this.digits)} ${this.unit}`);
    }

    median(what: string): number {
        return median(this.values.get(what) ?? []);
    }

    table(): string {
        const rows = [...this.values].map(([what, values]) => [
            what,
            values.map((value) => value.toFixed(this.digits)).join(" "),
            median(values).toFixed(this.digits),
        ]);
        return table([["what", this.unit, "median"], ...rows]);
    }
}

/** What is compared with what, and what the aim is. */
export type Comparison = readonly [ours: string, theirs: string, aim: number];

export function ratios(figures: Figures, comparisons: readonly Comparison[]): string {
    const rows = comparisons.map(([ours, theirs, aim]) => [
        `${ours} / ${theirs}`,
        (figures.median(ours) / figures.median(theirs)).toFixed(2),
        aim.toFixed(2),
    ]);
    return table([["ratio of the medians", "is", "aim"], ...rows]);
}
