// A module that takes a compiler long: a few functions, each of hundreds of thousands of instructions that hang on one another.

const unsigned = (value: number): number[] =>
    value < 128 ? [value] : [(value % 128) + 128, ...unsigned(Math.floor(value / 128))];

const vector = (items: number[][]): number[] => [...unsigned(items.length), ...items.flat()];

/** A part of a module, or of its code, with its length before it. */
function sized(content: Buffer | number[], id?: number): Buffer {
    return Buffer.concat([
        Buffer.from([...(id === undefined ? [] : [id]), ...unsigned(content.length)]),
        Buffer.from(content),
    ]);
}

/** Another seed makes another module, for which nothing is compiled yet. */
export function heavyModule(seed: number, functions = 8, bytesEach = 400_000): Buffer {
    // local 0 = (local 0 * seed) ^ local 1; local 1 = local 1 + local 0
    const step = [
        ...[0x20, 0, 0x41, seed % 64, 0x6c, 0x20, 1, 0x73, 0x21, 0],
        ...[0x20, 1, 0x20, 0, 0x6a, 0x21, 1],
    ];
    const steps = Buffer.concat(
        Array.from({ length: Math.ceil(bytesEach / step.length) }, () => Buffer.from(step)),
    );
    const body = sized(
        Buffer.concat([Buffer.from(vector([[2, 0x7f]])), steps, Buffer.from([0x20, 0, 0x1a, 0x0b])]),
    );
    const start = [..."_start"].map((letter) => letter.charCodeAt(0));
    return Buffer.concat([
        Buffer.from("\0asm\u0001\0\0\0", "latin1"),
        // One type: no parameters, no results.
        sized(vector([[0x60, 0, 0]]), 1),
        sized(vector(Array.from({ length: functions }, () => [0])), 3),
        sized(vector([[...unsigned(start.length), ...start, 0, 0]]), 7),
        sized(
            Buffer.concat([
                Buffer.from(unsigned(functions)),
                ...Array.from({ length: functions }, () => body),
            ]),
            10,
        ),
    ]);
}
