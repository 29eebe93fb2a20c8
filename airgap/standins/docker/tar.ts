// A tar archive of one file, as the Engine API takes a file for a container.

const blockSize = 512;

/** The archive. The path may be absolute; at most 100 bytes without its leading slash. */
export function tarFile(path: string, mode: number, content: Buffer): Buffer {
    const name = path.replace(/^\/+/, "");
    if (Buffer.byteLength(name) > 100) {
        throw new Error(`the path of an upload may have 100 bytes at most: ${path}`);
    }
    const header = Buffer.alloc(blockSize);
    const octal = (value: number, length: number): string =>
        `${value.toString(8).padStart(length - 1, "0")}\0`;
    header.write(name, 0);
    header.write(octal(mode, 8), 100);
    header.write(octal(0, 8), 108); // owner
    header.write(octal(0, 8), 116); // group
    header.write(octal(content.length, 12), 124);
    header.write(octal(Math.floor(Date.now() / 1000), 12), 136);
    header.write(" ".repeat(8), 148); // the checksum counts as blanks in itself
    header.write("0", 156); // a regular file
    header.write("ustar\x0000", 257);
    const sum = header.reduce((total, byte) => total + byte, 0);
    header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
    const padding = Buffer.alloc((blockSize - (content.length % blockSize)) % blockSize);
    return Buffer.concat([header, content, padding, Buffer.alloc(2 * blockSize)]);
}
