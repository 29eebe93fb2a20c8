// What is measured while something else goes on.

export const greatest = (values: number[]) => Math.max(0, ...values);

/** How long something takes, in milliseconds. */
export async function timed(act: () => Promise<unknown>): Promise<number> {
    const begun = Date.now();
    await act();
    return Date.now() - begun;
}

/** The longest time between one of these and the next. */
export function longestPause(times: Iterable<number>): number {
    const sorted = [...times].sort((one, other) => one - other);
    return greatest(sorted.slice(1).map((time, index) => time - sorted[index]));
}
